"""Mirrored annotations: [s, e] becomes [D-e, D-s], in the opposite order, twice is the identity."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.cli.reverse_annotations import main
from opentad_bi.prepare.reverse_annotations import reverse_annotations

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
            "duration": draw(micro.filter(bool)),
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
        (one(duration=None), "video v: 'duration'"),
        (one(duration=0), "video v: 'duration'"),
        (one(annotations=[{"label": "a"}]), "video v: 'segment'"),
        (one(annotations=[{"segment": [4, 1], "label": "a"}]), "ends before it starts"),
        (one(annotations=[{"segment": [1, float("nan")], "label": "a"}]), "video v: 'segment'"),
    ],
)
def test_invalid_files_are_errors_that_name_the_video(annotations, words):
    with pytest.raises(ValueError, match=words):
        reverse_annotations(annotations)


def test_segments_beyond_the_video_are_mirrored_with_a_warning(caplog):
    mirrored = reverse_annotations(one(annotations=[{"segment": [8, 11], "label": "a"}]))
    assert mirrored["database"]["v"]["annotations"][0]["segment"] == [-1, 2] and "beyond" in caplog.text


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
