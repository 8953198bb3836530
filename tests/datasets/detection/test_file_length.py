"""What the annotation does not say of a video's length is taken from its file, in training, check and statistics."""

import os

import numpy as np
import pytest
from dataset_files import FPS, FRAMES, feature_pipeline, frame_pipeline

from opentad_bi.datasets.detection import annotation
from opentad_bi.datasets.detection.check import check_dataset
from opentad_bi.datasets.detection.statistics import read_subset
from opentad_bi.registry import DATASETS


def without(database, *keys):
    for entry in database.values():
        for key in keys:
            del entry[key]


def lengths(videos):
    return {video.name: (video.frames, video.fps, video.duration_sec) for video in videos}


@pytest.mark.parametrize("keys", [("frame",), ("frame", "duration"), ("duration",)])
def test_frames_and_seconds_of_videos(keys, make, database, videos):
    cfg = make(data_path=str(videos / "for"), pipeline=frame_pipeline())
    wanted, segments = lengths(DATASETS.build(cfg).videos), DATASETS.build(cfg).videos[0].segments
    without(database, *keys)
    cfg = make(data_path=str(videos / "for"), pipeline=frame_pipeline())
    dataset = DATASETS.build(cfg)
    assert lengths(dataset.videos) == wanted == lengths(read_subset(cfg).videos)
    assert wanted["short"] == (FRAMES["short"], FPS, FRAMES["short"] / FPS)
    np.testing.assert_array_equal(dataset.videos[0].segments, segments)
    assert not [finding for finding in check_dataset(cfg, full=False) if finding.level == "error"]


def test_a_file_is_asked_once_until_it_changes(make, database, videos, monkeypatch):
    without(database, "frame")
    cfg, opened = make(data_path=str(videos / "for"), pipeline=frame_pipeline()), []
    original = annotation.open_video
    monkeypatch.setattr(annotation, "open_video", lambda path, *rest: opened.append(path) or original(path, *rest))
    annotation._of_video.cache_clear()
    for _ in range(2):
        DATASETS.build(cfg)
    assert sorted(path.stem for path in opened) == ["long", "short"]
    os.utime(opened[0], ns=(1, 1))
    read_subset(cfg)
    assert len(opened) == 3


def test_rows_of_features_stand_for_frames(make, database, features):
    without(database, "frame")
    cfg = make(data_path=str(features / "for"), pipeline=feature_pipeline())
    video = DATASETS.build(cfg).videos[1]
    assert (video.name, video.frames) == ("short", 52)  # 13 rows of 4 frames
    without(database, "duration")
    with pytest.raises(ValueError, match=r"video 'long': duration and frame missing \(needs duration, and one of"):
        DATASETS.build(make(data_path=str(features / "for"), pipeline=feature_pipeline()))


def test_fps_of_the_entry_comes_before_the_file(make, database):
    without(database, "frame")
    for entry in database.values():
        entry["fps"] = FPS
    dataset = DATASETS.build(make(pipeline=frame_pipeline(), data_path="nowhere"))
    assert [video.frames for video in dataset.videos] == [FRAMES["long"], FRAMES["short"]]


def test_no_file_is_an_error_that_says_what_was_missing(make, database):
    without(database, "frame")
    said = (
        r"video 'long': frame missing \(needs duration, and one of frame, duration_frame and fps\), .*: video 'long' is"
    )
    cfg = make(pipeline=frame_pipeline(), data_path="nowhere")
    with pytest.raises(FileNotFoundError, match=said):
        DATASETS.build(cfg)
    with pytest.raises(FileNotFoundError, match=said):
        read_subset(cfg)
    assert "frame missing" in str(check_dataset(cfg, full=False))
    with pytest.raises(ValueError, match="video 'long': frame missing"):
        DATASETS.build(make())
