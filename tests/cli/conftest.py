"""Small generated sets with their towers, for tests of the commands."""

import pytest
from region_set import make_region_set

from opentad_bi.cli.main import call
from opentad_bi.evaluation.classification import accuracy


@pytest.fixture(scope="session")
def prompt_set(tmp_path_factory):
    """Folder of the set: 14 classes, three videos each to learn from and two to test on."""
    folder = tmp_path_factory.mktemp("prompts") / "set"
    words = ["--out", folder, "--train-videos", "3", "--test-videos", "2"]
    assert call("demo-data features", words) == 0
    return folder


@pytest.fixture(scope="session")
def region_set(tmp_path_factory):
    """Folder of the set: captioned videos with regions, eight to learn from and eight to test on."""
    return make_region_set(tmp_path_factory.mktemp("regions") / "set")


@pytest.fixture(scope="module")
def no_pictures():
    """Trainings draw no matrices of classes: half of the time of a small run, and tested in tests/evaluation."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_confusion", "draw_reliability"):
            patch.setattr(accuracy, name, lambda *_: None)
        yield
