"""Annotation files: what counts as a true segment, and clear errors."""

import gzip
import json

import numpy as np
import pytest

from opentad_bi.evaluation.detection.io import load_ground_truth
from opentad_bi.utils.files import read_json, read_names


def entry(*annotations, subset="test"):
    return {
        "subset": subset,
        "duration": 60.0,
        "annotations": [{"segment": segment, "label": label} for segment, label in annotations],
    }


DATABASE = {
    "a": entry(([5, 9], "run"), ([5.0005, 9.0005], "run"), ([5.002, 9], "run"), ([5, 9], "jump"), ([4, 4], "run")),
    "b": entry(([1, 2], "swim"), ([7, 7], "swim")),
    "c": entry(([1, 2], "fly"), subset="train"),
    "d": entry(),
}


def write(folder, database, name="truth.json"):
    path = folder / name
    text = json.dumps({"database": database})
    if path.suffix == ".gz":
        with gzip.open(path, "wt") as stream:
            stream.write(text)
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["truth.json", "truth.json.gz"])
def test_empty_and_double_segments_are_left_out(tmp_path, name):
    truth = load_ground_truth(write(tmp_path, DATABASE, name), "test")
    assert truth.classes == ["run", "jump", "swim"]
    assert truth.videos == ["a", "b", "d"]
    np.testing.assert_array_equal(truth.rows.segments, [[5, 9], [5.002, 9], [5, 9], [1, 2]])
    assert truth.rows.labels.tolist() == [0, 0, 1, 2]
    assert truth.rows.videos.tolist() == [0, 0, 0, 1]
    assert truth.durations["a"] == 60.0


@pytest.mark.parametrize("form", ["list", "json", "text"])
def test_blocked_videos_take_no_part(tmp_path, form):
    blocked = ["a"]
    if form != "list":
        blocked = tmp_path / f"blocked.{form}"
        blocked.write_text('["a"]' if form == "json" else "a\n\n")
    truth = load_ground_truth(write(tmp_path, DATABASE), "test", blocked)
    assert truth.videos == ["b", "d"] and truth.classes == ["swim"]


def test_an_unknown_subset_lists_those_there_are(tmp_path):
    with pytest.raises(ValueError, match=r"no subset 'Test'; did you mean 'test'.*all: test, train"):
        load_ground_truth(write(tmp_path, DATABASE), "Test")


def test_a_subset_without_segments_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"1 videos .* nothing to evaluate"):
        load_ground_truth(write(tmp_path, {"d": entry(), "b": DATABASE["b"]}), "test", ["b"])


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ({"segment": [1], "label": "x"}, r"video 'v': annotation .* has no 'segment' of two numbers"),
        ({"segment": [1, "late"], "label": "x"}, r"video 'v': segment \[1, 'late'\]: 'late' is not a finite number"),
        ({"segment": [1, 2]}, "video 'v': annotation .* has no 'label'"),
        ({"segment": [1, float("nan")], "label": "x"}, "video 'v': segment .* nan is not a finite number"),
        ({"segment": [7, 3], "label": "x"}, r"video 'v': segment \[7, 3\] ends before it starts"),
        ("nonsense", "video 'v': annotation 'nonsense'"),
    ],
)
def test_a_malformed_annotation_is_named(tmp_path, annotation, said):
    database = {"v": entry(([0, 1], "x"))}
    database["v"]["annotations"].append(annotation)
    with pytest.raises(ValueError, match=rf"annotation .*truth\.json: {said}"):
        load_ground_truth(write(tmp_path, database), "test")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "a list"),
        ("{}", "an empty one"),
        ('{"database": 3}', "a int as 'database'"),
        ('{"videos": [], "annotations": [], "categories": []}', "with the keys 'videos', 'annotations', 'categories'"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path, content, said):
    path = tmp_path / "truth.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"truth\.json has no object 'database'.* {said}"):
        load_ground_truth(path, "test")


def test_unreadable_files_are_named(tmp_path):
    for name in ("no.json", "no.json.gz"):
        with pytest.raises(FileNotFoundError, match=r"thing .*no.json"):
            read_json(tmp_path / name, "thing")
        (tmp_path / name).write_bytes(b"{broken")
        with pytest.raises(ValueError, match=r"thing .*no.json.* is not valid"):
            read_json(tmp_path / name, "thing")
    whole = gzip.compress(b'{"a": 1}')
    (tmp_path / "cut.json.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.json\.gz"):
        read_json(tmp_path / "cut.json.gz")


def test_names_from_a_file_that_is_none(tmp_path):
    assert read_names(None) == []
    with pytest.raises(FileNotFoundError, match="class map"):
        read_names(tmp_path / "classes.txt", "class map")
    (tmp_path / "names.json").write_text('{"a": 1}')
    with pytest.raises(ValueError, match="JSON list"):
        read_names(tmp_path / "names.json")


def test_blocked_names_that_are_nowhere_are_a_warning(tmp_path, caplog):
    load_ground_truth(write(tmp_path, DATABASE), "test", ["b", "typo"])
    assert "1 names are not in" in caplog.text and ": typo\n" in caplog.text
