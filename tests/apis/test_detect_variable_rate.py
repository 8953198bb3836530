"""Where frames come at uneven times, detections are given at the seconds at which a player shows them."""

import numpy as np
import pytest
from detect_files import CLASSES, FPS, write_video

from opentad_bi.apis import detect_all
from opentad_bi.datasets.common.stream import uneven_times
from opentad_bi.datasets.detection.stream import VideoWindows
from opentad_bi.datasets.readers.base import VideoReader
from opentad_bi.datasets.readers.pyav import PyAVReader

COUNT = 90


@pytest.fixture(scope="module")
def ticks():
    """When frames are shown: a pause in the middle, then every third frame is dropped."""
    late = np.arange(COUNT) + 200 * (np.arange(COUNT) >= 40)
    return late + np.maximum(np.arange(COUNT) - 60, 0) // 2


@pytest.fixture(scope="module", params=["uneven.mp4", "uneven.mkv"])
def uneven(request, ticks, tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("rate") / request.param, COUNT, times=ticks.tolist())


def test_segments_lie_where_a_player_shows_them(uneven, ticks, pair, monkeypatch):
    found = detect_all(pair, uneven)
    monkeypatch.setattr(PyAVReader, "times", VideoReader.times)
    even = detect_all(pair, uneven)
    assert found.duration == pytest.approx((ticks[-1] + 1) / FPS, abs=0.002)
    assert found.fps == even.fps == pytest.approx(COUNT / even.duration) and len(found.detections) == 3
    for direction, entries in found.detections.items():
        others = even.detections[direction]
        assert [(e["label"], e["score"]) for e in entries] == [(e["label"], e["score"]) for e in others]
        frames = np.asarray([e["segment"] for e in others]) * even.fps
        expected = np.interp(frames, np.arange(COUNT + 1), np.append(ticks, ticks[-1] + 1) / FPS)
        np.testing.assert_allclose([e["segment"] for e in entries], expected, atol=0.0061)
    assert len(found.chief) > 20


@pytest.mark.parametrize("rate", [25, 30])
def test_an_even_rate_changes_nothing(pair, tmp_path, rate, monkeypatch):
    for name in ("even.mp4", "even.mkv"):
        path = write_video(tmp_path / name, COUNT, rate=rate)
        with VideoWindows(pair.data, path, CLASSES) as windows:
            assert not windows.uneven and windows.player_sec(1.2345) == 1.2345
    monkeypatch.setattr("opentad_bi.apis.detection.at_player_times", None)
    assert detect_all(pair, path).chief


def test_how_far_frames_may_lie_from_an_even_rate():
    times = np.arange(50) / 10
    assert uneven_times(None, 10) is None and uneven_times(times[:1], 10) is None
    assert uneven_times(times + 0.099 * (np.arange(50) > 20), 10) is None
    late = times + 0.12 * (np.arange(50) > 20)
    np.testing.assert_allclose(uneven_times(late, 10), [*late, late[-1] + 0.1])
