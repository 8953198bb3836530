"""Every place that lists videos or compares their names knows every suffix of `ops.names.VIDEO_SUFFIXES`."""

import numpy as np
import pytest
from dataset_files import draw, encode

from opentad_bi.cli import detect
from opentad_bi.cli.extract import clip_features
from opentad_bi.datasets.common.video_paths import find_video_file
from opentad_bi.datasets.feature_prompts.dataset import VideoFeatureDataset
from opentad_bi.datasets.readers.base import find_video
from opentad_bi.datasets.video_anomaly.records import CaptionedVideo
from opentad_bi.datasets.video_anomaly.split_guard import guard
from opentad_bi.datasets.video_anomaly.stream import FrameStreamDataset
from opentad_bi.datasets.video_prompts.lists import read_class_folders
from opentad_bi.ops.names import VIDEO_SUFFIXES, bare_name, describe_set, overlap
from opentad_bi.prepare.join_clips import find_clips
from opentad_bi.prepare.reverse.folder import plan

FORMS = [*VIDEO_SUFFIXES, *(suffix.upper() for suffix in VIDEO_SUFFIXES)]


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Bytes of a short video; FFmpeg knows its form whatever the suffix says."""
    path = tmp_path_factory.mktemp("suffixes") / "a.mp4"
    encode(path, [draw(number) for number in range(4)], lossless=False)
    return path.read_bytes()


@pytest.fixture(params=FORMS)
def video(request, content, tmp_path):
    """A video of each suffix, in the folder of its class."""
    path = tmp_path / "videos" / "Abuse" / f"Abuse001{request.param}"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_folders_list_it(video, tmp_path):
    root = video.parent.parent
    assert [root / listed.path for listed in read_class_folders(root).videos] == [video]
    stream = FrameStreamDataset(str(root), classes=["Normal", "Abuse"], stride=2, chunk=2, size=16)
    assert [file.path for file in stream.files] == [video]
    assert detect.find_videos([video.parent]) == [video]
    assert clip_features.find_videos(root) == {"Abuse/Abuse001": video}
    assert [job.src for job in plan(root, tmp_path / "back")] == [video]
    assert [clip.path for clip in find_clips(root, ["Abuse"], 25)] == [video]


def test_a_file_itself_is_no_list_of_videos(video):
    assert [file.path for file in FrameStreamDataset(str(video), classes=["Normal", "Abuse"]).files] == [video]


def test_names_are_found_and_have_no_suffix(video):
    assert bare_name(video) == "Abuse001"
    assert find_video_file(f"Abuse/{video.name}", video.parent.parent) == video
    if video.suffix.islower():
        assert find_video(video.parent, "Abuse001", "mp4") == video
        assert find_video_file("Abuse/Abuse001", video.parent.parent) == video


@pytest.mark.parametrize("suffix", FORMS)
def test_the_guard_of_the_test_videos_sees_it(suffix, tmp_path):
    record = CaptionedVideo("Abuse001", f"Abuse/Abuse001{suffix}", "Abuse", True, "")
    for line in (f"Abuse001{suffix}", f"Abuse/Abuse001{suffix}  1 20"):
        assert guard([record], [line, "Arson002.mp4"], drop=True) == []
    (tmp_path / "Abuse").mkdir()
    np.save(tmp_path / "Abuse" / "Abuse001.npy", np.ones((2, 4), np.float32))
    with pytest.raises(ValueError, match="1 videos are in forbid_list"):
        VideoFeatureDataset(str(tmp_path), normal_class="Abuse", forbid_list=[f"Abuse001{suffix}"])
    sets = [describe_set(tmp_path, [(f"Abuse/{name}", "Abuse")]) for name in (f"Abuse001{suffix}", "Abuse001.mp4")]
    assert overlap(*sets).startswith("1 of 1 videos are among those to learn from")
