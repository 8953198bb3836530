"""Rows of features that are nearer or farther apart than a config says are found at the start."""

import json

import numpy as np
import pytest
from dataset_files import FPS, draw, encode
from unit_files import write_classes

from opentad_bi.datasets.feature_prompts.dataset import VideoFeatureDataset


def record(path, seconds, fps=30.0):
    path.with_suffix(".json").write_text(json.dumps({"fps": fps, "frames": 9, "duration_sec": seconds, "rows": 9}))


def write(tmp_path, *, row_seconds):
    write_classes(tmp_path, {"Abuse": {"a": 40, "b": 60, "c": 4}, "Normal": {"n": 100}})
    for path in tmp_path.rglob("*.npy"):
        record(path, (np.load(path).shape[0] - 0.5) * row_seconds)
    return tmp_path


@pytest.mark.parametrize(("true", "said", "fits"), [(16 / 30, 1.0, 16), (1.0, 16 / 30, 30), (24 / 30, 1.0, 24)])
@pytest.mark.parametrize("test_mode", [False, True])
def test_the_record_beside_the_features_knows_how_far_rows_are_apart(tmp_path, true, said, fits, test_mode):
    folder = write(tmp_path, row_seconds=true)
    assert VideoFeatureDataset(folder, row_seconds=true, test_mode=test_mode).row_seconds == true
    with pytest.raises(ValueError, match=rf"row_seconds {said:.3g}.* frames_per_row={fits} would fit at 30 frames"):
        VideoFeatureDataset(folder, row_seconds=said, test_mode=test_mode)


def test_the_record_of_a_linked_file_lies_beside_the_file(tmp_path):
    source = write(tmp_path / "made", row_seconds=16 / 30)
    for path in source.rglob("*.npy"):
        link = tmp_path / "linked" / path.parent.name / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    with pytest.raises(ValueError, match="frames_per_row=16"):
        VideoFeatureDataset(tmp_path / "linked")


def test_files_without_a_record_or_with_few_rows_are_not_compared(tmp_path):
    folder = write(tmp_path, row_seconds=16 / 30)
    for path in folder.rglob("*.json"):
        if path.stem != "c":  # 4 rows of 2 seconds: half a row is more than the share
            path.write_text(json.dumps({"frames": "x"}))
    assert len(VideoFeatureDataset(folder)) == 204


def test_videos_where_they_lie_there_are_compared_by_their_headers(tmp_path):
    write_classes(tmp_path / "f", {"Abuse": {"a": 25, "b": 25}, "Normal": {"n": 25}})
    (tmp_path / "Abuse").mkdir()
    for name in "ab":
        encode(tmp_path / "Abuse" / f"{name}.mp4", [draw(number) for number in range(100)], lossless=False)

    options = {"video_root": tmp_path, "row_seconds": 4 / FPS}
    assert len(VideoFeatureDataset(tmp_path / "f", **options)) == 75
    with pytest.raises(
        ValueError, match=rf"a row stands for {4 / FPS:.3g} s, .* in most of 2 files; frames_per_row=4 "
    ):
        VideoFeatureDataset(tmp_path / "f", **{**options, "row_seconds": 1.0})
    with pytest.raises(FileNotFoundError, match=r"video_root .*nowhere does not exist"):
        VideoFeatureDataset(tmp_path / "f", video_root=tmp_path / "nowhere")
