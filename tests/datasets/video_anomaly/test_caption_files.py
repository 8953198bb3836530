"""Caption files in four forms: records and counts as stated, and damaged ones with errors that name them."""

import copy
import gzip
import json
import random
import string

import numpy as np
import pytest
from caption_samples import FORMS, LIST, write_form

from opentad_bi.datasets.common.video_paths import parent_name
from opentad_bi.datasets.video_anomaly.captions import caption_files, read_captions
from opentad_bi.datasets.video_anomaly.records import CaptionedVideo, Keyframe, Region
from opentad_bi.datasets.video_anomaly.regions import VisibilityTrack

UCF = ["Normal", "Abuse", "Arson", "Assault", "Burglary", "Fighting", "RoadAccidents", "Shooting", "Vandalism"]


def read(folder, name, content=None, **options):
    return read_captions(write_form(folder, name, content), **options)


JUNK = [None, True, -1, 2.5, 1e300, 10**400, float("nan"), float("inf"), "", "x", "\0", "\ud800", [], {}, [[]], [1],
        {"a": 1}, {"global": 1, "region": 2}, [0, 0, 0, 0], [5, 5, 90, 90], [0.2, 0.2, 0.1, 0.1]]  # fmt: skip


# damage


def damaged(value, rng):
    """A copy of a value with one thing in it replaced, removed, repeated or renamed."""
    value = copy.deepcopy(value)
    node, trail = value, []
    while isinstance(node, (dict, list)) and node and (not trail or rng.random() < 0.85):
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        trail.append((node, key))
        node = node[key]
    parent, key = rng.choice(trail)
    action = rng.randrange(4)
    if action == 0:
        del parent[key]
    elif action == 1 and isinstance(parent, dict):
        parent["".join(rng.choices(string.ascii_letters, k=4))] = parent.pop(key)
    elif action == 1:
        parent.append(copy.deepcopy(parent[key]))
    else:
        parent[key] = rng.choice(JUNK)
    return value


@pytest.mark.parametrize("name", FORMS)
def test_damaged_files_are_read_or_named(tmp_path, name):
    rng, failures = random.Random(name), 0
    for number in range(250):
        text = json.dumps(damaged(FORMS[name], rng))
        if number % 5 == 0:
            cut = rng.randrange(len(text))
            text = rng.choice([text[:cut], text[:cut] + rng.choice('{}[]",:\\x') + text[cut + 1 :]])
        path = tmp_path / "broken.json"
        path.write_text(text, encoding="utf-8")
        try:
            records, report = read_captions(path, classes=UCF)
        except (ValueError, KeyError, FileNotFoundError) as error:
            failures += str(path) in str(error) or pytest.fail(f"the file is not named in {error!r}")
        else:
            assert records and all(isinstance(record, CaptionedVideo) for record in records)
            assert report.videos == len(records) <= report.entries
    assert failures > 60


def test_an_entry_that_cannot_be_read_can_be_left_out(tmp_path):
    bad = copy.deepcopy(LIST)
    bad[0]["bbox_info"][0]["keyframes"][0]["bbox"] = [10, 10, 60, 90]
    with pytest.raises(ValueError, match=r"list.json: 1 of 3 entries .*Abuse001.*region 0: keyframe 0: bbox .*percent"):
        read(tmp_path, "list", bad)
    records, report = read(tmp_path, "list", bad, on_bad_entry="skip")
    assert len(records) == 3 and not report.skipped and report.skipped_regions == 1  # the video stays
    assert [region.caption for region in records[0].regions] == [r["caption"] for r in LIST[0]["bbox_info"][1:]]
    assert report.patterns == {"T": 1, "(TT)": 1, "(T)": 1}  # nothing is counted of what was left out
    bad[0]["global_caption"] = 3
    records, report = read(tmp_path, "list", bad, on_bad_entry="skip")
    assert len(records) == 2 and report.skipped == {"unreadable": 1} and not report.skipped_regions
    assert report.patterns == {"(T)": 1} and report.clipped_boxes == 0


# the four forms


def test_the_list(tmp_path):
    records, report = read(tmp_path, "list")
    first, second, third = records
    assert (first.name, first.category, first.abnormal) == ("Abuse001_x264", "Abuse", True)
    assert (first.fps, first.frames, first.window) == (30.0, 400, None)
    assert first.regions[0] == Region(
        "a man kicks",
        192,
        333,
        (Keyframe(192, (0.1094, 0.3583, 0.6125, 0.925), True), Keyframe(333, (0.3844, 0.525, 0.6125, 0.925), False)),
    )
    assert first.regions[1].keyframes == (Keyframe(20, (0.0, 0.0, 0.5, 1.0), True),)
    # no keyframe says whether it is enabled, nor the region when it ends: the last one ends it
    assert [keyframe.enabled for keyframe in first.regions[2].keyframes] == [True, False]
    assert second.window == (1.5, 4.0) and second.regions[0].keyframes == (Keyframe(3, (0.0, 0.0, 1.0, 1.0), False),)
    assert (third.category, third.abnormal, third.caption, third.regions) == ("Normal", False, "", ())
    assert (report.entries, report.videos, report.abnormal, report.regions, report.keyframes) == (3, 3, 2, 4, 6)
    assert report.patterns == {"TF": 1, "T": 1, "(TT)": 1, "(T)": 1}
    assert (report.clipped_boxes, report.empty_captions, report.empty_region_captions) == (1, 1, 1)
    assert (report.non_ascii_captions, report.chinese_captions, report.chinese_region_captions) == (1, 1, 1)


def test_keyframes_without_a_word_of_enabled_are_so_where_the_region_says_its_end(tmp_path):
    region = {"caption": "x", "end_frame": 50, "keyframes": [{"frame": 3, "bbox": [0, 0, 1, 1]}]}
    records, _ = read(tmp_path, "list", [{"f_path": "Abuse001.mp4", "global_caption": "y", "bbox_info": [region]}])
    assert records[0].regions[0].keyframes[0].enabled and records[0].regions[0].end == 50


def test_wrong_texts_of_a_region(tmp_path):
    def negatives(**given):
        entry = {"f_path": "Abuse001.mp4", "global_caption": "y", "bbox_info": [{"caption": "x", **given}]}
        return read(tmp_path, "list", [entry])[0][0].regions[0].negatives

    assert negatives() == negatives(negatives=None) == negatives(negatives=[]) == ()
    assert negatives(negatives=["a dog ", "", "a bus"]) == ("a dog", "a bus")
    assert negatives(short_expr_negs={"0": "a dog", "1": "a bus"}) == ("a dog", "a bus")
    with pytest.raises(ValueError, match=r"Abuse001.*region 0: negatives 1 7 is not a text"):
        negatives(negatives=["a dog", 7])
    with pytest.raises(ValueError, match=r"region 0: negatives: a list is expected, not 'a dog'"):
        negatives(negatives="a dog")


def test_the_late_list(tmp_path):
    records, report = read(tmp_path, "late_list")
    arson, assault, walk, again = records
    assert [region.caption for region in arson.regions] == ["fire", ""]
    assert [len(region.keyframes) for region in assault.regions] == [1, 0]
    assert assault.regions[0].keyframes == (Keyframe(1, (0.0, 0.0, 0.5, 1.0), False),)  # the last of one frame wins
    assert [(r.caption, r.keyframes) for r in walk.regions] == [("a walker", ())] and walk.window == (0.0, 12.5)
    assert again.regions == () and not walk.abnormal and assault.window is None
    assert (report.unequal_lists, report.repeated_keyframes, report.boxed_regions) == (2, 1, 3)
    assert (report.captions, report.distinct_captions) == (4, 3) and report.duplicate_share == 0.25


def test_the_dict(tmp_path):
    records, report = read(tmp_path, "dict")
    assert [record.name for record in records] == ["Fighting033_x264", "RoadAccedents002_x264", "somewhere"]
    assert [record.category for record in records] == ["Fighting", "RoadAccidents", "Vandalism"]
    assert records[1].abnormal and records[1].regions == (Region("a car", None, None, ()),)
    assert report.skipped == {"it has no 'region'": 1} and (report.entries, report.videos) == (4, 3)


def test_the_nested_dict(tmp_path):
    records, report = read(tmp_path, "nested_dict")
    assert [record.name for record in records] == ["Normal_Videos308_3_x264_0", "Normal_Videos308_3_x264_1"]
    assert {record.path for record in records} == {"Normal_Videos308_3_x264.mp4"}
    assert [record.window for record in records] == [(0.0, 9.9), (9.9, 20.0)] and not any(r.abnormal for r in records)
    assert report.skipped == {"it has no 'global'": 1} and report.duplicate_share == 0.5


def test_without_a_class_boxes_tell_what_is_abnormal(tmp_path):
    entries = [{"f_path": "clip_a.mp4", "global_caption": "x", "bbox_info": LIST[0]["bbox_info"]},
               {"f_path": "clip_b.mp4", "global_caption": "x"}]  # fmt: skip
    records, _ = read(tmp_path, "list", entries, classes=UCF)
    assert [(record.category, record.abnormal) for record in records] == [(None, True), (None, False)]


@pytest.mark.parametrize("classes", [None, UCF])
@pytest.mark.parametrize(
    ("category", "name"),
    [
        ("Normal_Videos_event", "Normal"),
        ("Training_Normal_Videos_Anomaly", "Normal"),
        ("Testing_Normal_Videos_Anomaly", "Normal"),
        ("Normal Video", "Normal"),
        (" Normal ", "Normal"),
        ("RoadAccedent", "RoadAccidents"),
        ("Road Accedents", "RoadAccidents"),
        ("Abnormal Videos", "Abnormal Videos"),
        ("Theft", "Theft"),
    ],
)
def test_categories_are_spelt_as_folders_are(tmp_path, classes, category, name):
    entry = {"f_path": "clip_1.mp4", "global_caption": "x", "category": category}
    record = read(tmp_path, "list", [entry], classes=classes)[0][0]
    assert (record.category, record.abnormal) == (name, name != "Normal")


def test_a_category_that_is_a_class_is_left_as_it_is(tmp_path):
    entry = {"f_path": "clip_1.mp4", "global_caption": "x", "category": "roadaccedents"}
    classes = ["Normal", "RoadAccedents"]
    assert read(tmp_path, "list", [entry], classes=classes)[0][0].category == "roadaccedents"


@pytest.mark.parametrize("path", ["clip_1.mp4", "part1/001.mp4", "Video_07.mp4", "v=8cTq9_label_A.mp4", "001.mp4"])
def test_no_class_is_made_up_for_a_video_without_boxes(tmp_path, path):
    found = read(tmp_path, "list", [{"f_path": path, "global_caption": "x"}])[0][0]
    assert (found.category, found.abnormal) == (None, False)
    boxed = {"f_path": path, "global_caption": "x", "bbox_info": LIST[0]["bbox_info"]}
    assert read(tmp_path, "list", [boxed])[0][0].abnormal
    theft = read(tmp_path, "list", [{"f_path": "Theft_03.mp4", "global_caption": "x"}])[0][0]
    assert (theft.category, theft.abnormal) == ("Theft", True)


def test_frame_numbers_from_one(tmp_path):
    records, _ = read(tmp_path, "list", frame_base=1)
    assert (records[0].regions[0].start, records[0].regions[0].end) == (191, 332)
    assert records[0].regions[0].keyframes[0].frame == 191
    entry = {"f_path": "a", "bbox_info": [{"keyframes": [{"frame": 0, "bbox": [0, 0, 1, 1]}]}]}
    with pytest.raises(ValueError, match="frame 0 is before the first frame, which is 1"):
        read(tmp_path, "list", [entry], frame_base=1)


# sources


def test_lists_and_folders_of_files(tmp_path):
    paths = [write_form(tmp_path, name) for name in ("dict", "list")]
    (tmp_path / "both.txt").write_text("list.json\n\ndict.json\n")
    assert caption_files(tmp_path) == paths
    assert caption_files(tmp_path / "both.txt") == paths[::-1]
    assert len(read_captions([paths[0], tmp_path / "both.txt"])[0]) == 9
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(paths[1].read_bytes()))
    assert read_captions(tmp_path / "packed.json.gz")[0] == read_captions(paths[1])[0]


def test_sources_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        read_captions(tmp_path / "none.json")
    (tmp_path / "files.txt").write_text("none.json\n")
    with pytest.raises(FileNotFoundError, match=r"files.txt: .*none.json"):
        read_captions(tmp_path / "files.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no \.json"):
        read_captions(tmp_path / "empty")
    with pytest.raises(ValueError, match="name none"):
        read_captions([])


# mistakes


def box_error(box):
    return [{"f_path": "Abuse001.mp4", "bbox_info": [{"keyframes": [{"frame": 1, "bbox": box}]}]}]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (3, "must hold a list or an object"),
        ([], "must hold a list or an object"),
        ({"a": 3}, "'a': an object is expected"),
        ({"a": {"global": {}}}, "none of 1 entries is a video: it has no 'region'"),
        ([{"global_caption": "x"}], "'f_path' or 'video' None is not the path"),
        ([{"f_path": "a", "global_caption": 3}], "global_caption 3 is not a text"),
        ([{"f_path": "a", "timestamps": [4, 2]}], r"timestamps \[4, 2\] are not"),
        ([{"f_path": "a", "timestamps": [[0, 1], [2, 3]]}], "timestamps .* are not"),
        ([{"f_path": "a", "fps": 0}], "fps 0 is not a number above 0"),
        ([{"f_path": "a", "bbox_info": [{"start_frame": 9, "end_frame": 2}]}], "start_frame 9 is after end_frame 2"),
        ([{"f_path": "a", "bbox_info": [{"keyframes": [{"bbox": [0, 0, 1, 1]}]}]}], "there is no 'frame'"),
        (box_error([0, 0, 1]), r"bbox \[0, 0, 1\] is not a list of four"),
        (box_error([0, 0, 200, 300]), "pixels"),
        (box_error([0.5, 0.5, 1.2, 0.9]), "x, y, width, height"),
        (box_error([0.5, 0.5, 0.4, 0.9]), "has no area"),
        (box_error([0.5, 0.5, float("nan"), 0.9]), "is not a list of four numbers"),
    ],
)
def test_mistakes_are_named(tmp_path, content, told):
    with pytest.raises(ValueError, match=told) as error:
        read(tmp_path, "list", content)
    assert str(tmp_path / "list.json") in str(error.value)


def test_boxes_without_area_can_be_dropped(tmp_path):
    flat, whole = ({"frame": 1, "bbox": [0.5, 0, 0.5, 1]}, {"frame": 4, "bbox": [0, 0, 1, 1]})
    entry = {"f_path": "a", "bbox_info": [{"keyframes": [flat, whole]}]}
    records, report = read(tmp_path, "list", [entry], on_bad_box="drop")
    assert [keyframe.frame for keyframe in records[0].regions[0].keyframes] == [4] and report.dropped_boxes == 1


def dropped(folder, pattern, *bad, said=True):
    """The region of keyframes at 10, 20, ..., whose boxes are flat where `bad` says so."""
    keyframes = [{"frame": 10 * n, "bbox": [0.5, 0, 0.5 + (n not in bad) * n / 10, 1]}
                 | ({"enabled": kind == "T"} if said else {}) for n, kind in enumerate(pattern, 1)]  # fmt: skip
    entry = {"f_path": "a", "bbox_info": [{"caption": "x", "keyframes": keyframes}]}
    return read(folder, "list", [entry], on_bad_box="drop")[0][0].regions[0]


@pytest.mark.parametrize(
    ("pattern", "bad", "spans"),
    [
        ("TF", [2], [(10, 21)]),
        ("TTF", [3], [(10, 31)]),
        ("TFTF", [2], [(10, 21), (30, 41)]),
        ("TFTF", [2, 3], [(10, 21), (40, 41)]),
        ("TFTF", [1], [(20, 21), (30, 41)]),
        ("FT", [1], [(20, 100)]),
        ("TFF", [2, 3], [(10, 21)]),
        ("TT", [2], [(10, 100)]),
    ],
)
def test_a_dropped_box_still_ends_the_life_of_a_region(tmp_path, pattern, bad, spans):
    frames = [frame for first, stop in spans for frame in range(first, stop)]
    region = dropped(tmp_path, pattern, *bad)
    assert np.flatnonzero(VisibilityTrack(region).visible(range(100))).tolist() == frames
    assert all(x2 > x1 for x1, _, x2, _ in (keyframe.box for keyframe in region.keyframes))


def test_a_dropped_box_of_a_frame_that_has_another_is_no_end(tmp_path):
    flat, whole = [0.5, 0, 0.5, 1], [0, 0, 1, 1]
    for order in ([whole, flat], [flat, whole]):
        pairs = [{"frame": 20, "bbox": box, "enabled": box is whole} for box in order]
        keyframes = [{"frame": 10, "bbox": whole, "enabled": True}, *pairs]
        entry = {"f_path": "a", "bbox_info": [{"caption": "x", "keyframes": keyframes}]}
        region = read(tmp_path, "list", [entry], on_bad_box="drop")[0][0].regions[0]
        assert [keyframe.enabled for keyframe in region.keyframes] == [True, True]
    assert dropped(tmp_path, "TT", 2, said=False).keyframes == (Keyframe(10, (0.5, 0.0, 0.6, 1.0), False),)


def test_a_number_without_end_and_a_nest_without_bottom(tmp_path):
    for text, told in ((f"[{'9' * 5000}]", "digits"), ("[" * 100_000, "nested too deep")):
        (tmp_path / "odd.json").write_text(text)
        with pytest.raises(ValueError, match=rf"odd\.json .*{told}"):
            read_captions(tmp_path / "odd.json")


def test_a_name_twice_and_wrong_options(tmp_path):
    (tmp_path / "twice.json").write_text('{"a": {}, "a": {}}')
    with pytest.raises(ValueError, match=r"twice\.json has 'a' twice"):
        read_captions(tmp_path / "twice.json")
    for options in ({"frame_base": 2}, {"on_bad_box": "drp"}, {"on_bad_entry": "drop"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            read(tmp_path, "list", **options)


def test_segments_are_of_their_video():
    names = ("Abuse001_x264_3.mp4", "Abuse001_x264", "a/Abuse001_x264_1_20.mp4", "Abuse001_x264-part.mp4")
    assert {parent_name(name) for name in names} == {"Abuse001_x264"}
    assert parent_name("Normal_Videos308_3_x264.mp4") == "Normal_Videos308_3_x264"
    assert parent_name("clip_3.mp4") == "clip_3"
