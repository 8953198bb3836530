"""The picture of predictions against the ground truth."""

import json

import pytest

from opentad_bi.evaluation.detection.io import load_ground_truth, segments_by_video
from opentad_bi.evaluation.viz import timeline
from opentad_bi.evaluation.viz.timeline import _panel, draw_timeline


@pytest.fixture
def truth(tmp_path):
    annotations = [{"segment": [1, 4], "label": "run"}, {"segment": [6, 9], "label": "jump"}]
    database = {v: {"subset": "test", "duration": 12.0, "annotations": annotations} for v in ("a", "b")}
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"database": database}))
    return load_ground_truth(path, "test")


def found(score=0.8):
    return [
        {"segment": [1, 3], "label": "run", "score": score},
        {"segment": [5, 6], "label": "swim", "score": score / 2},
        {"segment": [5, 6], "label": "fly", "score": 0.01},
    ]


def test_one_picture_of_all_directions(tmp_path, truth):
    results = {"for": {"a": found()}, "back": {"a": found(0.5), "b": found()}, "merged": {}}
    draw_timeline(tmp_path / "out" / "t.png", results, truth)
    assert (tmp_path / "out" / "t.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["t.png"]


def test_more_predictions_change_the_picture(tmp_path, truth):
    pictures = []
    for i, entries in enumerate(([], found())):
        draw_timeline(tmp_path / f"{i}.png", {"a": entries}, truth, videos=["a"])
        pictures.append((tmp_path / f"{i}.png").read_bytes())
    assert pictures[0] != pictures[1]


def test_classes_of_the_truth_come_first_and_weak_predictions_are_left_out():
    truth = [{"segment": [0, 1], "label": "run", "score": 1.0}]
    bands = _panel(truth, {"model": {"a": found()}}, "a", max_classes=8, min_score=0.1)
    assert list(bands) == ["run", "swim"]
    assert list(_panel(truth, {"model": {"a": found()}}, "a", max_classes=1, min_score=0.1)) == ["run"]


def test_an_unknown_video_is_named(tmp_path, truth):
    with pytest.raises(KeyError, match="video 'c' is not in subset test"):
        draw_timeline(tmp_path / "t.png", {"a": []}, truth, videos=["c"])


def test_without_ground_truth_the_predictions_say_what_to_draw(tmp_path, monkeypatch):
    drawn = []
    keep = timeline._draw_panel
    monkeypatch.setattr(timeline, "_draw_panel", lambda axes, *rest: drawn.append(rest) or keep(axes, *rest))
    results = {"for": {"a": found(), "b": []}, "back": {"a": found(0.5), "b": []}}
    draw_timeline(tmp_path / "t.png", results)
    draw_timeline(tmp_path / "b.png", results, videos=["b"], durations={"b": 7.5})
    (a, _, lanes, unknown), (b, bands, _, seconds) = drawn
    assert (a, b, bands, unknown, seconds) == ("a", "b", {}, None, 7.5) and lanes == ["for", "back"]
    with pytest.raises(KeyError, match="video 'c' is not among those to draw"):
        draw_timeline(tmp_path / "t.png", results, videos=["c"])


@pytest.mark.parametrize("name", ["costs $5 and $6_^{", "$", "$$", "\\frac $x_{$"])
def test_dollars_are_letters(tmp_path, name):
    entries = [{"segment": [1, 3], "label": name, "score": 0.8}]
    draw_timeline(tmp_path / "t.png", {name: {name: entries}}, {name: entries})
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_true_segments_may_be_a_plain_list(tmp_path, truth, monkeypatch):
    drawn = []
    keep = timeline._draw_panel
    monkeypatch.setattr(timeline, "_draw_panel", lambda axes, *rest: drawn.append(rest) or keep(axes, *rest))
    plain = {"a": [{"segment": [1.0, 4.0], "label": "run"}, {"segment": [6.0, 9.0], "label": "jump"}]}
    draw_timeline(tmp_path / "1.png", {"a": found()}, truth, videos=["a"])
    draw_timeline(tmp_path / "2.png", {"a": found()}, plain, videos=["a"], durations={"a": 12.0})
    assert drawn[0] == drawn[1] and drawn[0][2] == ["truth", "model"]
    assert segments_by_video(tmp_path / "truth.json")["b"] == plain["a"]
