"""Videos of every length relative to a window, and a detector."""

import pytest
from detect_files import PAIR, write_config, write_video, write_weights

from opentad_bi.apis import init_detector


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """Files of 150, 64, 21 and 1 frames: 3 windows, just one, part of one, one position."""
    folder = tmp_path_factory.mktemp("detect")
    counts = {"long": 150, "exact": 64, "short": 21, "single": 1}
    return {name: write_video(folder / f"{name}.mp4", count, seed=count) for name, count in counts.items()}


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """A pair of detectors."""
    folder = tmp_path_factory.mktemp("pair")
    config = write_config(folder, PAIR)
    return init_detector(config, write_weights(config, folder / "pair.pth"), "cpu")
