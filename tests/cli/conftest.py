"""A small generated set of features with its tower, for tests of the prompt commands."""

import pytest

from opentad_bi.cli import make_demo_features


@pytest.fixture(scope="session")
def prompt_set(tmp_path_factory):
    """Folder of the set: 14 classes, three videos each to learn from and two to test on."""
    folder = tmp_path_factory.mktemp("prompts") / "set"
    words = ["--out", folder, "--train_videos", "3", "--test_videos", "2"]
    assert make_demo_features.main(words) == 0
    return folder
