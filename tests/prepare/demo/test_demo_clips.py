"""Generated clips of four classes: files that read back, lists that fit them, nothing of a user's is overwritten."""

import pytest

from opentad_bi.datasets.readers.base import open_video
from opentad_bi.datasets.video_prompts.lists import check_files, read_numbered
from opentad_bi.prepare.demo.clips import CLASSES, make_demo_clips


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips") / "set"
    return folder, make_demo_clips(folder, train=2, test=1)


def read(folder, split):
    return read_numbered(folder / "annotations" / f"{split}.txt", tuple(CLASSES))


def test_lists_name_every_file_once(clips):
    folder, counts = clips
    assert counts == {"train": 8, "test": 4}
    lists = {split: check_files(read(folder, split), folder / "videos") for split in counts}
    assert lists["train"].counts() == [2] * 4 and lists["test"].counts() == [1] * 4
    listed = {video.path for videos in lists.values() for video in videos.videos}
    assert len(listed) == 12 == sum(1 for _ in (folder / "videos").rglob("*.mp4"))
    assert all(CLASSES.keys() >= {path.parent.name} for path in listed)


def test_something_moves_in_every_clip(clips):
    folder, _ = clips
    for path in (folder / "videos").rglob("*.mp4"):
        with open_video(path) as video:
            assert 16 <= len(video) <= 32
            first, last = video.frames([0, len(video) - 1]).astype(float)
        assert abs(first - last).max() > 40, path.name


def test_a_clip_depends_on_seed_class_and_number_alone(clips, tmp_path):
    folder, _ = clips
    make_demo_clips(tmp_path / "other", train=1, test=1)
    name = "Roll/Roll_002.mp4"
    assert (tmp_path / "other" / "videos" / name).read_bytes() == (folder / "videos" / name).read_bytes()


def test_refuses_what_it_did_not_make(clips, tmp_path):
    folder, _ = clips
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(FileExistsError, match="holds no generated clips"):
        make_demo_clips(tmp_path, overwrite=True)
    with pytest.raises(FileExistsError, match=r"with other settings .train was 2 and is 12, .*--overwrite"):
        make_demo_clips(folder)
    with pytest.raises(ValueError, match="train=0"):
        make_demo_clips(tmp_path / "new", train=0)
