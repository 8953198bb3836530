"""THUMOS14's "Ambiguous" spans change no number and are shown nowhere."""

import json
import random

import pytest
from places import SHARED

from opentad_bi.evaluation.detection.io import load_ground_truth, load_predictions, parse_results, segments_by_video
from opentad_bi.evaluation.detection.mean_ap import evaluate


def with_ambiguous(database, videos, count, seed=0):
    """The database with `count` spans labelled "Ambiguous", anywhere in `videos` and anywhere in their lists."""
    rng = random.Random(seed)
    database = json.loads(json.dumps(database))
    for _ in range(count):
        entry = database[rng.choice(videos)]
        start, end = sorted(rng.uniform(0, entry["duration"]) for _ in range(2))
        action = {"segment": [start, end], "label": "Ambiguous"}
        entry["annotations"].insert(rng.randint(0, len(entry["annotations"])), action)
    return database


def write(path, database):
    path.write_text(json.dumps({"database": database}))
    return path


def test_no_metric_changes(tmp_path):
    rng = random.Random(3)
    labels = ("run", "jump", "throw")
    times = lambda: sorted(round(rng.uniform(0, 60), 2) for _ in range(2))  # noqa: E731
    database = {
        f"v{i}": {
            "subset": "test",
            "duration": 60.0,
            "annotations": [{"segment": times(), "label": rng.choice(labels)} for _ in range(5)],
        }
        for i in range(6)
    }
    found = {v: [{"segment": times(), "label": rng.choice(labels), "score": rng.random()} for _ in range(30)]
             for v in database}  # fmt: skip
    plain = load_ground_truth(write(tmp_path / "plain.json", database), "test")
    more = with_ambiguous(database, list(database), 9)
    path = write(tmp_path / "more.json", more)
    truth = load_ground_truth(path, "test")
    assert truth.classes == plain.classes and len(truth.rows) == len(plain.rows)
    expected = evaluate(parse_results(found), plain, top_k=[1]).metrics
    assert evaluate(parse_results(found), truth, top_k=[1]).metrics == expected
    assert segments_by_video(path) == segments_by_video(tmp_path / "plain.json")
    # the reference evaluator of OpenTAD takes it for a class
    assert "Ambiguous" in load_ground_truth(path, "test", ignored_labels=()).classes


def test_predictions_called_ambiguous_are_ignored_with_a_warning(tmp_path, caplog):
    actions = [{"segment": [0, 5], "label": "run"}, {"segment": [6, 9], "label": "Ambiguous"}]
    database = {"v": {"subset": "test", "duration": 60.0, "annotations": actions}}
    truth = load_ground_truth(write(tmp_path / "truth.json", database), "test")
    found = {"v": [{**action, "score": 0.5} for action in actions]}
    assert evaluate(parse_results(found), truth).metrics["average_mAP"] == 1.0
    assert "are ignored: 'Ambiguous'" in caplog.text


def test_the_real_ground_truth(tmp_path):
    folder = SHARED / "data" / "predictions" / "thumos14"
    if not folder.is_dir():
        pytest.skip(f"no real detections at {folder}; set OPENTAD_SHARED to the folder above data/")
    database = json.loads((folder / "ground_truth.json").read_text())["database"]
    videos = [name for name, entry in database.items() if entry["subset"] == "Test"]
    found = load_predictions(folder / "baseline.json.gz")
    plain = evaluate(found, load_ground_truth(folder / "ground_truth.json", "Test"))
    path = write(tmp_path / "truth.json", with_ambiguous(database, videos, 43))
    more = evaluate(found, load_ground_truth(path, "Test"))
    assert more.metrics == plain.metrics
    assert 100 * more.metrics["average_mAP"] == pytest.approx(62.846, abs=0.01)
