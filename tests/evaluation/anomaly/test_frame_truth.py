"""Temporal annotations of anomalies: every form of line, bad lines, and the real files."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import SHARED

from opentad_bi.evaluation.common.frame_annotation import anomalous_frames, check_length, read_frame_annotation

ANNOTATIONS = SHARED / "data" / "annotations"
NORMAL = {"Normal_Videos_003_x264": ()}
REFUSED = ("abn_noevent", "anomalyclip", "dup", "float", "half", "norm_ev", "utf16", "z", "zeros")
TIMES = st.lists(st.integers(0, 300), min_size=2, max_size=8, unique=True).map(sorted)


def real(name):
    path = ANNOTATIONS / name
    if not path.is_file():
        pytest.skip(f"no real annotation at {path}; set OPENTAD_SHARED to the folder above data/")
    return path


def read(folder, text, **options):
    path = folder / "annotation.txt"
    path.write_bytes(text.encode())
    return read_frame_annotation(path, **options)


def test_every_form_of_line(tmp_path):
    found = read(tmp_path, (
        "\ufeffAbuse028_x264.mp4  Abuse  165  240  -1  -1  \r\n"
        "Normal/Normal_Videos_003_x264.avi Normal -1 -1 -1 -1\n"
        "\n"
        "Arson011_x264\tArson 150 420 680 1267\n"
        "v=S-7rRLrxnVQ__#1_label_B4-0-0 0 1517 1970 3038\n"
        "Bad.Boys.1995__#01-11-55_label_G-B2-B6 G 5 6 B2 7 9"
    ))  # fmt: skip
    assert {video: (of.label, of.events) for video, of in found.items()} == {
        "Abuse028_x264": ("Abuse", ((165, 240),)),
        "Normal_Videos_003_x264": ("Normal", ()),
        "Arson011_x264": ("Arson", ((150, 420), (680, 1267))),
        "v=S-7rRLrxnVQ__#1_label_B4-0-0": (None, ((0, 1517), (1970, 3038))),
        "Bad.Boys.1995__#01-11-55_label_G-B2-B6": ("G", ((5, 6), (7, 9))),
    }


def test_forms_of_other_repositories(tmp_path):
    found = read(tmp_path, (
        "Abuse/Abuse028_x264.mp4|1412|[165, 240, -1, -1]\n"
        "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4|1600|[-1]\n"
        "Arson/Arson010.mp4|900|-1\n"
        "Arson011_x264.mp4 1300 Arson 150 420\n"
        "Normal_Videos_006_x264 450 Testing_Normal_Videos_Anomaly -1 -1\n"
        "Arson011_x264.mp4 1300 Arson 680 1267\n"
        "Abuse030_x264.mp4,Abuse,1275,1360,-1,-1,\n"
        "Abuse031_x264.mp4; Abuse; 3; 9\n"
        "RoadAccidents001_x264.mp4 Road Accidents 3 9 -1 -1"
    ), normal_class="Normal")  # fmt: skip
    assert {video: (of.label, of.events, of.frames) for video, of in found.items()} == {
        "Abuse028_x264": (None, ((165, 240),), 1412),
        "Normal_Videos_003_x264": (None, (), 1600),
        "Arson010": (None, (), 900),
        "Arson011_x264": ("Arson", ((150, 420), (680, 1267)), 1300),
        "Normal_Videos_006_x264": ("Testing_Normal_Videos_Anomaly", (), 450),
        "Abuse030_x264": ("Abuse", ((1275, 1360),), 0),
        "Abuse031_x264": ("Abuse", ((3, 9),), 0),
        "RoadAccidents001_x264": ("Road Accidents", ((3, 9),), 0),
    }
    for twice in (
        "a 90 Arson 1 2\na 90 Arson 1 2",
        "a 90 Arson 1 2\na 91 Arson 3 4",
        "a 90 Normal -1 -1\na 90 Normal 1 2",
    ):
        with pytest.raises(ValueError, match="line 2: video 'a' stands in line 1 already"):
            read(tmp_path, twice)


@pytest.mark.parametrize(("name", "expected"), [
    *((name, {"Abuse028_x264": ((165, 240),), **NORMAL}) for name in ("a", "bert", "crlf", "folder", "sep")),
    ("two", {"Arson011_x264": ((150, 420), (680, 1267)), "Normal_Videos_003_x264": ()}),
    ("overlap", {"Arson011_x264": ((100, 300), (200, 400)), "Normal_Videos_003_x264": ()}),
    *((name, None) for name in REFUSED),
])  # fmt: skip
def test_lists_that_users_had(name, expected):
    path = SHARED / "cases" / "anomaly" / f"{name}.txt"
    if not path.is_file():
        pytest.skip(f"no such list at {path}; set OPENTAD_SHARED to the folder above cases/")
    if expected is not None:
        found = read_frame_annotation(path, normal_class="Normal")
        assert {video: of.events for video, of in found.items()} == expected
        return
    with pytest.raises(ValueError, match=rf"{name}.txt(, line \d: .*; expected: a video per line|.* UTF-16)"):
        read_frame_annotation(path, normal_class="Normal")


@pytest.mark.parametrize(("line", "message"), [
    ("b Abuse 240 165 -1 -1", "240 to 165 does not begin before it ends"),
    ("b Abuse 165 165 -1 -1", "165 to 165 does not begin before it ends"),
    ("b Abuse -1 165", "-1 to 165 does not begin"),
    ("b Abuse 165 -1", "165 to -1 does not begin"),
    ("b Abuse -5 10", "-5 to 10 does not begin"),
    ("b Abuse 165 240 -1", "in pairs, found 3 numbers"),
    ("b Abuse", "in pairs, found 0 numbers"),
    ("b", "in pairs, found 0 numbers"),
    ("b Abuse 5.5 8.0", "5.5 is not a whole frame number .* not seconds"),
    ("b 165 240 300 Abuse 320", "'Abuse' stands between a start and an end"),
    ("b 165 Abuse 240", "in pairs, found 1 numbers"),
    ("b 1412 -1", "1412 to -1 does not begin"),
    ("Abuse/b 0 1411 0", "in pairs, found 3 numbers"),
    ("b Abuse 165 240 0 0", "0 to 0 does not begin"),
    ("b 1412 Abuse 5.5 8.0", "5.5 is not a whole"),
    ("b Arson -1 -1 -1 -1", "'Arson' has no event"),
    ("my video 01.mp4 Abuse 165 240", "'01.mp4' is a file, not a class"),
    ("Normal b.mp4 -1 -1", "'b.mp4' is a file, not a class"),
    ("b Normal 10 20", "'Normal' has events"),
    ("a Abuse 3 4", "video 'a' stands in line 1 already"),
])  # fmt: skip
def test_a_bad_line_is_named(tmp_path, line, message):
    with pytest.raises(
        ValueError, match=rf"annotation.txt, line 3: .*{message}.*; expected: .*'name.mp4 Class start end"
    ):
        read(tmp_path, f"a Abuse 1 2\n\n{line}\n", normal_class="normal videos")


def test_bad_files(tmp_path):
    with pytest.raises(ValueError, match="line 2: video 'a' stands in line 1 already"):
        read(tmp_path, "a.mp4 Abuse 1 2\nb/a Abuse 3 4")
    with pytest.raises(ValueError, match=r"annotation\.txt is empty"):
        read(tmp_path, "\n \n")
    for content, words in (
        (b"\xfb", "can't decode"),
        ("a Abuse 1 2".encode("utf-16"), "begins as UTF-16"),
        (b"a\0", "line 1"),
    ):
        (tmp_path / "annotation.txt").write_bytes(content)
        with pytest.raises(ValueError, match=f"annotation.txt is not text in UTF-8.*{words}"):
            read_frame_annotation(tmp_path / "annotation.txt")
    with pytest.raises(FileNotFoundError, match=r"nowhere.txt does not exist"):
        read_frame_annotation(tmp_path / "nowhere.txt")


@given(TIMES, st.integers(1, 40), st.integers(1, 12))
def test_rows_count_the_frames_of_events_within_them(times, rows, per_row):
    events = list(zip(times[::2], times[1::2], strict=False))
    frames = [any(start <= f < end for start, end in events) for f in range(rows * per_row)]
    expected = [sum(frames[i : i + per_row]) for i in range(0, len(frames), per_row)]
    assert anomalous_frames(events, rows, per_row).tolist() == expected


def test_overlapping_events_count_once_and_ends_are_not_included():
    assert anomalous_frames([(2, 5), (4, 6)], 3, 3).tolist() == [1, 3, 0]


def test_events_beyond_the_video():
    check_length("a", [(0, 10), (90, 105)], 100, 5)
    with pytest.raises(ValueError, match=r"video 'a': the event of frames 90 to 106 ends 6 frames beyond the 100 "):
        check_length("a", [(90, 106)], 100, 5)
    with pytest.raises(ValueError, match=r"frames 100 to 101 begins at or beyond the 100 frames"):
        check_length("a", [(100, 101)], 100, 5)


def test_the_real_annotation_of_ucf_crime():
    found = read_frame_annotation(real("ucf_crime/Temporal_Anomaly_Annotation.txt"))
    events = [of.events for of in found.values()]
    assert (len(found), sum(map(bool, events)), sum(len(e) == 2 for e in events)) == (290, 140, 16)
    assert sum(end - start for of in events for start, end in of) == 84189
    labels = {of.label for of in found.values()}
    assert len(labels) == 14 and all(bool(of.events) == (of.label != "Normal") for of in found.values())
    listed = {Path(line.strip()).stem for line in real("ucf_crime/Anomaly_Test.txt").read_text().splitlines()}
    assert listed == set(found)


def test_the_real_annotation_lies_within_the_real_videos():
    found = read_frame_annotation(real("ucf_crime/Temporal_Anomaly_Annotation.txt"))
    videos = json.loads(real("hivau/ucf_database_test.json").read_text())
    beyond = {}
    for video, of in videos.items():
        for start, end in found[video].events:
            assert start < of["n_frames"]
            beyond[video] = max(beyond.get(video, 0), end - of["n_frames"])
    assert sorted(n for n in beyond.values() if n > 0) == [1, 1, 1, 2, 2]
    frames = sum(of["n_frames"] for of in videos.values())
    anomalous = sum(anomalous_frames(found[v].events, of["n_frames"], 1).sum() for v, of in videos.items())
    assert (len(videos), frames, int(anomalous)) == (251, 1036807, 82142)


@pytest.mark.parametrize(("name", "labels"), [("annotations.txt", {None}), ("annotations_multiclasses.txt",
                         {"B1", "B2", "B4", "B5", "B6", "G"})])  # fmt: skip
def test_the_real_annotation_of_xd_violence(name, labels):
    found = read_frame_annotation(real(f"xd_violence/{name}"))
    assert len(found) == 500 and all(of.events for of in found.values())
    assert {of.label for of in found.values()} == labels
    assert not any(video.endswith(".mp4") for video in found)
    assert sum(end - start for of in found.values() for start, end in of.events) > 100000
    assert np.max([end for of in found.values() for _, end in of.events]) < 1e6
