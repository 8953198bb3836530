"""Annotation files: ground truth as trained on, and one clear error for everything that is wrong with them."""

import json
import logging

import pytest
from dataset_files import LABELS, entry

from opentad_bi.datasets.detection.annotation import ground_truth, read_class_map, write_class_map
from opentad_bi.registry import DATASETS
from opentad_bi.utils.annotation import read_block_list, read_database, select_names

CLASSES = {name: label for label, name in enumerate(LABELS)}


def test_ground_truth_in_frames(database):
    segments, labels, problems = ground_truth(database["short"], CLASSES, frames=50)
    assert segments.tolist() == [[5, 25], [15, 45]]
    assert labels.tolist() == [1, 2]
    assert problems == []


def test_ambiguous_is_no_class(database):
    assert ground_truth(database["long"], CLASSES, frames=230)[1].tolist() == [0, 1, 2]


def test_filter_gt_drops_what_is_within_one_frame():
    item = entry("short", (0.41, 0.42, "Dive"), (0.4, 0.9, "Jump"))
    assert len(ground_truth(item, CLASSES, frames=50)[1]) == 2
    assert ground_truth(item, CLASSES, frames=50, filter_gt=True)[1].tolist() == [1]


def test_segments_outside_are_clipped_and_empty_ones_left_out(make, database, caplog):
    database["short"] = entry("short", (1.5, 2.5, "Dive"), (1.0, 1.0, "Jump"), (-3, -1, "Jump"), (1.0, 2.02, "Throw"))
    with caplog.at_level(logging.WARNING):
        dataset = DATASETS.build(make())
    video = dataset.videos[1]
    assert video.labels.tolist() == [0, 2]
    assert video.segments.tolist() == [[37, 50], [25, 50]]
    assert "3 segments" in caplog.text
    assert "short: segment [1.5, 2.5]" in caplog.text


def test_label_outside_the_class_map(make, database):
    database["short"]["annotations"][0]["label"] = "Jmp"
    with pytest.raises(ValueError, match=r"video 'short': label 'Jmp' of segment \[0.2, 1.0\].*did you mean 'Jump'"):
        DATASETS.build(make())
    assert len(DATASETS.build(make(test_mode=True))) == 2


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("duration", 0, "duration 0 is not a positive number"),
        ("frame", "many", "frame 'many' is not a positive number"),
        ("subset", 3, "subset 3 is not a name"),
        ("annotations", [{"segment": [1.0], "label": "Dive"}], "no 'segment' of two numbers"),
        ("annotations", [{"segment": [1.0, 2.0]}], "no 'label'"),
    ],
)
def test_malformed_entry(make, database, key, value, message):
    database["short"][key] = value
    with pytest.raises(ValueError, match=f"video 'short': .*{message}"):
        DATASETS.build(make())


def test_unreadable_annotation(make, tmp_path):
    cfg = make()
    (tmp_path / "annotation.json").write_text('{"database": {')
    with pytest.raises(ValueError, match=r"annotation\.json is not valid JSON"):
        DATASETS.build(cfg)
    (tmp_path / "annotation.json").write_text("[]")
    with pytest.raises(ValueError, match="no object 'database'"):
        read_database(tmp_path / "annotation.json")
    with pytest.raises(FileNotFoundError, match=r"gone\.json"):
        read_database(tmp_path / "gone.json")


def test_subset_is_an_exact_name_or_a_list(database):
    assert select_names(database, "training") == ["long", "short"]
    assert select_names(database, ["validation", "training"]) == ["long", "middle", "short"]
    assert select_names(database, "training", frozenset({"long"})) == ["short"]
    for wrong in ("train", "training validation"):
        with pytest.raises(ValueError, match=r"training.*validation"):
            select_names(database, wrong)


def test_no_ground_truth_at_all(make, database):
    for name in ("long", "short"):
        database[name]["annotations"] = [{"segment": [0.2, 0.8], "label": "Ambiguous"}]
    with pytest.raises(ValueError, match="none of 2 videos has ground truth"):
        DATASETS.build(make())


def test_class_map(make, tmp_path):
    with pytest.raises(FileNotFoundError, match="--write-class-map"):
        read_class_map(tmp_path / "classes.txt")
    cfg = make()
    assert write_class_map(cfg["ann_file"], tmp_path / "classes.txt") == list(LABELS)
    assert read_class_map(tmp_path / "classes.txt") == list(LABELS)
    (tmp_path / "classes.txt").write_text("Dive\nJump\nDive\n")
    with pytest.raises(ValueError, match=r"\['Dive'\] more than once"):
        read_class_map(tmp_path / "classes.txt")


def test_block_list(tmp_path):
    (tmp_path / "blocked.txt").write_text("a\nb c\n\n")
    assert read_block_list(tmp_path / "blocked.txt") == {"a", "b c"}
    assert read_block_list(["a"]) == {"a"}
    assert read_block_list(None) == frozenset()
    with pytest.raises(FileNotFoundError, match="gone"):
        read_block_list(tmp_path / "gone.txt")
    (tmp_path / "blocked.json").write_text('["a", "b c"]')
    assert read_block_list(tmp_path / "blocked.json") == {"a", "b c"}


@pytest.mark.parametrize("name", ["blocked.json", "blocked.txt"])
def test_blocked_videos_are_left_out_and_unknown_names_told(name, make, tmp_path, caplog):
    everything = [video.name for video in DATASETS.build(make()).videos]
    names = [everything[0], "typo"]
    (tmp_path / name).write_text(json.dumps(names) if name.endswith("json") else "\n".join(names))
    videos = DATASETS.build(make(block_list=str(tmp_path / name))).videos
    assert [video.name for video in videos] == everything[1:]
    assert caplog.text.rstrip().endswith(": typo")
