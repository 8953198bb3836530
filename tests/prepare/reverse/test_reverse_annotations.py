"""Mirrored annotations: [s, e] becomes [D-e, D-s], in the opposite order, twice is the identity."""

import json
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.cli.main import call
from opentad_bi.prepare.reverse.annotations import reverse_annotations

main = partial(call, "reverse-annotations")

micro = st.integers(0, 10**9).map(lambda n: n / 1e6)  # seconds, as files have them: six decimals at most
label = st.sampled_from(["Dive", "Jump", "Ambiguous"])


@st.composite
def files(draw):
    database = {}
    for n in range(draw(st.integers(0, 4))):
        times = draw(st.lists(st.tuples(micro, micro, label), max_size=5))
        actions = [{"segment": sorted(t[:2]), "label": t[2], "id": i} for i, t in enumerate(times)]
        database[f"v{n}"] = {
            "subset": draw(st.sampled_from(["training", "validation"])),
            "duration": draw(micro) + 1000,
            "frame": draw(st.integers(1, 10**6)),
            "url": "x",
            "annotations": actions,
        }
    return {"database": database, "version": "1"}


@given(files())
def test_twice_is_the_identity(annotations):
    assert reverse_annotations(reverse_annotations(annotations)) == annotations


@given(files())
def test_each_action_is_mirrored_and_everything_else_kept(annotations):
    mirrored = reverse_annotations(annotations, digits=None)
    assert mirrored["version"] == "1" and mirrored["database"].keys() == annotations["database"].keys()
    for name, video in annotations["database"].items():
        back = mirrored["database"][name]
        assert {**back, "annotations": 0} == {**video, "annotations": 0}
        assert len(back["annotations"]) == len(video["annotations"])
        for own, other in zip(video["annotations"], reversed(back["annotations"]), strict=True):
            start, end = own["segment"]
            assert other == {**own, "segment": [video["duration"] - end, video["duration"] - start]}


def one(**changes):
    video = {"subset": "training", "duration": 10.0, "frame": 300, "annotations": [{"segment": [1, 4], "label": "a"}]}
    return {"database": {"v": {**video, **changes}}}


def test_the_input_is_left_alone():
    annotations = one()
    assert reverse_annotations(annotations)["database"]["v"]["annotations"][0]["segment"] == [6, 9]
    assert annotations == one()


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({}, "database"),
        (one(duration=None), "video 'v': duration None"),
        (one(duration=0), "video 'v': duration 0"),
        ({"database": {"v": {"subset": "x", "annotations": one()["database"]["v"]["annotations"]}}}, "'v': duration"),
        (one(annotations=[{"label": "a"}]), "video 'v': annotation .* no 'segment'"),
        (one(annotations=[{"segment": [4, 1], "label": "a"}]), "ends before it starts"),
        (one(annotations=[{"segment": [1, float("nan")], "label": "a"}]), "video 'v': segment .*nan"),
    ],
)
def test_invalid_files_are_errors_that_name_the_video(annotations, words):
    with pytest.raises(ValueError, match=words):
        reverse_annotations(annotations)


def test_segments_beyond_the_video_are_mirrored_with_a_warning(caplog):
    mirrored = reverse_annotations(one(annotations=[{"segment": [8, 11], "label": "a"}]))
    assert mirrored["database"]["v"]["annotations"][0]["segment"] == [-1, 2] and "beyond" in caplog.text


def reversed_action(caplog, **keys):
    """Keys of an action from 1 to 4 s of a video of 10 s at 30 frames per second, played backwards."""
    caplog.set_level("INFO")
    mirrored = reverse_annotations(one(annotations=[{"segment": [1, 4], "label": "a", **keys}]))
    found = mirrored["database"]["v"]["annotations"][0]
    assert found.pop("segment") == [6, 9] and found.pop("label") == "a"
    return found


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"segment(frames)": [30.0, 120.0]}, {"segment(frames)": [180.0, 270.0]}),
        ({"segment_frames": [30, 120]}, {"segment_frames": [180, 270]}),
        ({"frame_segment": [31, 119]}, {"frame_segment": [181, 269]}),
        ({"timestamps": [1, 4]}, {"timestamps": [6, 9]}),
        ({"timestamps": ["1.0", "4.0"]}, {"timestamps": [6, 9]}),
        ({"t-start": 1, "t-end": 4}, {"t-start": 6, "t-end": 9}),
        ({"end": 4.0, "start": 1.0}, {"end": 9, "start": 6}),
        ({"startFrame": 30, "endFrame": 120}, {"startFrame": 180, "endFrame": 270}),
        ({"f-init": 30, "f-end": 120}, {"f-init": 180, "f-end": 270}),
        ({"start_time": 0.5, "stop_time": 4.2}, {"start_time": 5.8, "stop_time": 9.5}),
        ({"clip": [30, 120]}, {"clip": [180, 270]}),  # no word for a time, but the segment's frames
    ],
)
def test_other_times_and_frames_of_an_action_are_mirrored(keys, wanted, caplog):
    assert reversed_action(caplog, **keys) == wanted
    assert all(f"{key!r} mirrored" in caplog.text for key in keys)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("start", 1.0),  # its end is not there
        ("keyframes", [31, 40, 60]),
        ("segments", [[1, 2], [3, 4]]),
        ("timestamp", "00:01"),
        ("frame", 30),
        ("frame_id", 30),
        ("peak_time", 2.5),
        ("peak", 2.5),
        ("midpoint", "2.5"),
        ("center", [0.3, 0.4]),  # two numbers of unknown meaning
    ],
)
def test_times_that_cannot_be_mirrored_are_dropped_with_a_warning(key, value, caplog):
    assert reversed_action(caplog, **{key: value}) == {}
    assert f"{key!r} dropped" in caplog.text


def test_what_holds_no_time_is_kept(caplog):
    keys = {"label_id": 5, "segment_id": 7, "duration": 3.0, "num_frames": 90, "score": 0.5,
            "frame_size": [320, 240], "box": [1, 2, 3, 4],
            "note": "ends at 4", "verb": "open", "to": "the shelf 3"}  # fmt: skip
    assert reversed_action(caplog, **keys) == keys
    assert not caplog.records


def test_frames_without_a_known_rate_are_dropped(caplog):
    annotations = one(annotations=[{"segment": [1, 4], "label": "a", "segment(frames)": [30, 120]}])
    del annotations["database"]["v"]["frame"]
    assert "segment(frames)" not in reverse_annotations(annotations)["database"]["v"]["annotations"][0]
    assert "'segment(frames)' dropped" in caplog.text


def test_times_of_a_video_are_dropped_and_its_lengths_kept(caplog):
    lengths = {"fps": 30.0, "feature_frame": 288, "duration_frame": 300, "url": "x?t=3", "video_seconds": 10.0}
    video = reverse_annotations(one(**lengths, shots=[[0, 5], [5, 10]], start=3.0))["database"]["v"]
    assert {key: video[key] for key in lengths} == lengths
    assert "shots" not in video and "start" not in video
    assert "'shots' of a video dropped" in caplog.text and "'start' of a video dropped" in caplog.text


def test_a_database_that_is_the_whole_file(tmp_path):
    action = {"segment": ["1", "4"], "label": 3}
    src = tmp_path / "anet_anno_val.json"
    src.write_text(json.dumps({"v": {"duration_second": "10.0", "duration_frame": 300, "annotations": [action]}}))
    assert main([src, tmp_path / "back.json"]) == 0
    mirrored = json.loads((tmp_path / "back.json").read_text())
    assert mirrored["v"]["annotations"] == [{"segment": [6.0, 9.0], "label": 3}]


def test_a_video_twice_is_an_error(tmp_path, capsys):
    src = tmp_path / "twice.json"
    src.write_text(json.dumps(one())[:-2] + ', "v": {}}}')
    assert main([src, tmp_path / "back.json"]) == 1
    assert f"annotation {src} has 'v' twice" in capsys.readouterr().err
    assert not (tmp_path / "back.json").exists()


def test_command_never_overwrites_unless_told(tmp_path, capsys):
    src, dst = tmp_path / "src.json", tmp_path / "new" / "dst.json"
    src.write_text(json.dumps(one()))
    assert main([str(src), str(dst)]) == 0 and "1 videos, 1 actions" in capsys.readouterr().out
    assert main([str(src), str(dst)]) == 1 and "exists" in capsys.readouterr().err
    assert main([str(src), str(src), "--overwrite"]) == 1
    assert main([str(src), str(dst), "--overwrite"]) == 0
    assert main([str(tmp_path / "nowhere.json"), str(dst)]) == 1
    assert not (dst.parent / "category_idx.txt").exists()
    assert json.loads(dst.read_text())["database"]["v"]["annotations"] == [{"segment": [6.0, 9.0], "label": "a"}]


def test_the_class_map_goes_along_once(tmp_path, capsys):
    src, dst = tmp_path / "src.json", tmp_path / "new" / "dst.json"
    src.write_text(json.dumps(one()))
    (tmp_path / "category_idx.txt").write_text("a\nb\n")
    assert main([src, dst]) == 0 and "the class map, copied" in capsys.readouterr().out
    own = dst.parent / "category_idx.txt"
    assert own.read_text() == "a\nb\n"
    own.write_text("a\n")
    assert main([src, dst, "--overwrite"]) == 0 and "class map" not in capsys.readouterr().out
    assert own.read_text() == "a\n"
