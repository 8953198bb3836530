"""One reader of annotation files: other spellings have their meaning, everything else is named."""

import json
import math

import pytest

from opentad_bi.utils.annotation import number, read_database, select_names
from opentad_bi.utils.logging import strictly

ENTRY = {"subset": "training", "duration": 10.0, "frame": 250, "annotations": [{"segment": [1, 3], "label": "x"}]}


def read(**changes):
    """The entry of a file with one video, with some keys changed, or without them (None: `...`)."""
    entry = {key: value for key, value in {**ENTRY, **changes}.items() if value is not ...}
    return read_database({"database": {"v": entry}})["v"]


def action(**changes):
    return [{**ENTRY["annotations"][0], **changes}]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"annotations": None}, {"annotations": []}),
        ({"annotations": ...}, {"annotations": []}),
        ({"annotations": action(segment=["1", " 3.50 "])}, {"annotations": action(segment=[1.0, 3.5])}),
        ({"annotations": action(label=7)}, {"annotations": action(label="7")}),
        ({"duration": "10.0"}, {"duration": 10.0}),
        ({"duration": ..., "duration_second": 10.0}, {"duration": 10.0}),
        ({"frame": ..., "duration_frame": 251}, {"frame": 251}),
        ({"frame": None, "fps": 29.97}, {"frame": 300, "fps": 29.97}),
        ({"frame": "250"}, {"frame": 250.0}),
        ({"frame": ..., "feature_frame": 248, "fps": "25"}, {"fps": 25.0}),
        ({"duration": ..., "fps": 25}, {"fps": 25}),
        ({"url": "x", "resolution": [1, 2]}, {}),
    ],
)
def test_what_other_tools_write_has_its_meaning(changes, wanted):
    assert read(**changes) == {**ENTRY, **wanted}


def test_what_is_not_said_and_does_not_follow_is_not_there():
    assert "frame" not in read(frame=...) and "duration" not in read(duration=...)


HUGE = 10**400


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subset": 3}, "subset 3 is not a name"),
        ({"subset": ["training"]}, r"subset \['training'\] is not a name"),
        ({"duration": None}, "duration None is not a positive number"),
        ({"duration": "unknown"}, "duration 'unknown' is not a positive number"),
        ({"duration": "00:10"}, "duration '00:10' is not"),
        ({"duration": 1e300}, r"duration 1e\+300 is more than 1e\+09"),
        ({"frame": 10**30}, "frame 10+ is more than"),
        ({"frame": 0.5}, "0.5 frames: a number between 1 and"),
        ({"frame": ..., "duration": 1e9, "fps": 25}, "2.5e.10 frames: a number between 1 and"),
        ({"duration": math.nan}, "duration nan is not"),
        ({"duration": "nan"}, "duration 'nan' is not"),
        ({"duration": math.inf}, "duration inf is not"),
        ({"duration": HUGE}, r"duration 1000.*\.\.\. is not"),
        ({"duration": True}, "duration True is not"),
        ({"duration": [10]}, r"duration \[10\] is not"),
        ({"duration": -1}, "duration -1 is not"),
        ({"frame": 0}, "frame 0 is not"),
        ({"frame": ..., "fps": "fast"}, "fps 'fast' is not"),
        ({"frame": ..., "duration_frame": "many"}, "duration_frame 'many' is not"),
        ({"annotations": {}}, r"annotations \{\} is not a list"),
        ({"annotations": "none"}, "annotations 'none' is not a list"),
        ({"annotations": [None]}, "annotation None has no 'segment'"),
        ({"annotations": [{"label": "x"}]}, "has no 'segment' of two numbers"),
        ({"annotations": action(segment="13")}, "has no 'segment'"),
        ({"annotations": action(segment=[1, 2, 3])}, "has no 'segment'"),
        ({"annotations": action(segment=[3, 1])}, r"segment \[3, 1\] ends before it starts"),
        ({"annotations": action(segment=["00:01", "00:03"])}, "'00:01' is not a finite number of seconds"),
        ({"annotations": action(segment=["", 3])}, "'' is not a finite number"),
        ({"annotations": action(segment=[1, math.nan])}, "nan is not a finite number"),
        ({"annotations": action(segment=[1, HUGE])}, r"1000.*\.\.\. is not a finite number"),
        ({"annotations": action(segment=[False, 3])}, "False is not a finite number"),
        ({"annotations": action(label=None)}, "label None of segment"),
        ({"annotations": action(label=["x", "y"])}, r"label \['x', 'y'\] of segment \[1, 3\] is not a name"),
        ({"annotations": action(label=1.5)}, "label 1.5 of segment"),
        ({"annotations": action(label=True)}, "label True of segment"),
        ({"annotations": action(label=" ")}, "label ' ' of segment"),
        ({"annotations": [{"segment": [1, 3]}]}, "has no 'label'"),
    ],
)
def test_everything_else_is_named(changes, said):
    with pytest.raises(ValueError, match=f"annotation: video 'v': .*{said}"):
        read(**changes)


def test_numbers_in_text():
    assert [number(text) for text in ("12.5", "-.5", "1e3", " 7 ")] == [12.5, -0.5, 1000.0, 7.0]
    assert [number(text) for text in ("1_000", "٣", "0x10", "1,5", "inf", "", None, True, [1])] == [None] * 9


def test_a_database_that_is_the_whole_file(tmp_path, caplog):
    path = tmp_path / "anet_anno_val.json"
    entry = {"duration_second": 10.0, "duration_frame": 250, "annotations": action(), "feature_frame": 240}
    path.write_text(json.dumps({"v_a": entry, "v_b": entry}))
    database = read_database(path)
    assert database["v_b"] == {**ENTRY, "subset": None}
    assert select_names(database, "validation", {"v_a"}, "file") == ["v_b"]
    assert "file: no video names a subset, so all 2 are taken as 'validation'" in caplog.text
    with strictly(), pytest.raises(ValueError, match="no video names a subset"):
        select_names(database, "validation")


def test_some_videos_without_a_subset_are_an_error():
    database = {"database": {"v": ENTRY, "w": {**ENTRY, "subset": None}}}
    with pytest.raises(ValueError, match="video 'w': subset None is not a name"):
        read_database(database)


def test_videos_that_are_there_twice_are_all_named(tmp_path):
    path = tmp_path / "twice.json"
    text = ", ".join(f'"{name}": {json.dumps(ENTRY)}' for name in ("a", "b", "c", "b", "a"))
    path.write_text(f'{{"database": {{{text}}}}}')
    with pytest.raises(ValueError, match=r"annotation .*twice\.json has 'a', 'b' twice"):
        read_database(path)
    repeated = []
    assert list(read_database(path, repeated=repeated)) == ["a", "b", "c"] and repeated == ["a", "b"]


def test_segments_in_frames_are_an_error():
    with pytest.raises(ValueError, match=r"video 'v': segment \[25, 75\] is not inside .*in seconds, not in frames"):
        read(annotations=[*action(), *action(segment=[25, 75])])
    read(annotations=[*action(), *action(segment=[25, 49]), *action(segment=[25, 75], label="Ambiguous")])
