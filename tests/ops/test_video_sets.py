"""Which videos two sets have in common: by name, by content, and by the number of an official split."""

import json

import pytest

from opentad_bi.ops import names
from opentad_bi.ops.names import describe_set, overlap


def make(folder, files, split=None, sized=True):
    """A set of {path: content, or None for no file}."""
    for path, content in files.items():
        if content is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    rows = [(path, path.split("/")[0] if "/" in path else "open") for path in files]
    return describe_set(folder, rows, split=split, sized=sized)


def test_a_set_is_json_and_tells_sizes(tmp_path):
    found = make(tmp_path, {"open/a.mp4": b"123", "open/gone.mp4": None})
    assert json.loads(json.dumps(found)) == found and found["root"] == str(tmp_path) and found["split"] is None
    assert found["videos"] == [
        {"path": "open/a.mp4", "class": "open", "bytes": 3},
        {"path": "open/gone.mp4", "class": "open", "bytes": None},
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("open/a.mp4", "open/a.mp4", True),
        ("Brush Hair/a.mp4", "brush_hair/A.avi", True),  # another spelling, another form
        ("open/a.mp4", "close/a.mp4", False),  # numbered in every class
        ("open/a.mp4", "a.mp4", True),  # one of both lists has no folders
        ("a.mp4", "x/open/a.mp4", True),
        ("open/a.mp4", "open/a.1.mp4", False),
        ("open/v_1.5", "open/v_1.6", False),  # a name of features may hold a point
    ],
)
def test_names(tmp_path, ours, theirs, same):
    text = overlap(make(tmp_path / "one", {ours: b"1"}), make(tmp_path / "other", {theirs: b"22"}))
    assert text == (f"1 of 1 videos are among those to learn from (1 by name): {theirs}" if same else "")


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("train/open/001.mp4", "test/open/001.mp4", False),
        ("train/open/clip_12.mp4", "test/open/clip_12.mp4", False),
        ("train/001.mp4", "test/001.mp4", False),
        ("train/open/Abuse001.mp4", "test/open/Abuse001.mp4", True),
        ("all/open/001.mp4", "all/open/001.mp4", True),
    ],
)
@pytest.mark.parametrize("sized", [True, False])
def test_videos_that_are_numbered_anew_in_every_set(tmp_path, ours, theirs, same, sized):
    for depth in (0, 1):  # the folder of the set is that of the list, or a part of its paths
        (root, one), (other, two) = ((path.split("/", depth)[0] if depth else "", path) for path in (ours, theirs))
        one, two = (path.split("/", depth)[-1] if depth else path for path in (one, two))
        trained = make(tmp_path / "a" / root, {one: b"1"}, sized=sized)
        assert bool(overlap(trained, make(tmp_path / "b" / other, {two: b"22"}, sized=sized))) is same
    if sized and not same:  # a copy
        assert "1 of 1" in overlap(trained, make(tmp_path / "c" / other, {two: b"1"}))


def test_copies_of_another_name(tmp_path):
    long = bytes(range(256)) * 1024
    trained = make(tmp_path / "one", {"open/a.mp4": long, "open/b.mp4": b"b" * 9, "open/c.mp4": b"c" * 9})
    other = {"open/x.mp4": long, "open/y.mp4": b"d" * 9, "shut/z.mp4": b"c" * 9, "shut/w.mp4": b"c" * 10}
    text = overlap(trained, make(tmp_path / "other", other))
    assert "2 of 4 videos are among those to learn from (2 as copies of another name)" in text
    assert "open/x.mp4 (is open/a.mp4)" in text and "shut/z.mp4 (is open/c.mp4)" in text
    changed = {"open/x.mp4": long[:-1] + b"!", "open/y.mp4": b"!" + long[1:], "open/v.mp4": b""}
    assert not overlap(trained, make(tmp_path / "third", changed))
    (tmp_path / "one/open/a.mp4").unlink()  # what is gone cannot be compared
    assert "1 of 4 videos" in overlap(trained, make(tmp_path / "other", other))


def test_content_is_read_only_where_sizes_are_the_same(tmp_path, monkeypatch):
    trained = make(tmp_path / "one", {f"open/{i}.mp4": b"1" * (i + 1) for i in range(9)})
    tested = make(tmp_path / "other", {f"open/x{i}.mp4": b"2" * (i + 9) for i in range(9)})
    read, whole = [], names._edges
    monkeypatch.setattr(names, "_edges", lambda path: read.append(path.name) or whole(path))
    assert not overlap(trained, tested) and sorted(read) == ["8.mp4", "x0.mp4"]


def test_splits_of_other_numbers(tmp_path):
    one = make(tmp_path, {"a/1.mp4": b"1", "b/2.mp4": b"22"}, split=1)
    two = make(tmp_path, {"A/3.mp4": b"333", "b/4.mp4": b"4444"}, split=2)
    assert overlap(one, two) == "split 2 is tested, but split 1 was learned from"
    assert not overlap(one, {**two, "split": None}) and not overlap(one, {**two, "split": 1})
    other = make(tmp_path, {"c/3.mp4": b"333", "d/4.mp4": b"4444", "b/5.mp4": b"55555"}, split=2)
    assert not overlap(one, other)  # of another data set
    both = overlap(one, {**one, "split": 3})
    assert "split 3 is tested" in both and "2 of 2 videos" in both


def test_features_are_known_by_name_alone(tmp_path):
    ours = make(tmp_path / "one", {"Abuse/Abuse001_x264": b"1"}, sized=False)
    theirs = make(tmp_path / "other", {"Abuse/Abuse002_x264": b"1"}, sized=False)
    assert not overlap(ours, theirs) and overlap(ours, ours)
