"""Result files are evaluated on machines without torch."""

import json
import subprocess
import sys

import pytest
from places import ROOT

SCRIPT = """
import json, sys
sys.modules["torch"] = None
from opentad_bi.evaluation.detection import evaluate_file, load_ground_truth, load_predictions
from opentad_bi.evaluation.detection.map import DetectionMAP

predictions, truth = sys.argv[1:]
report = evaluate_file(predictions, truth, "test", tiou_thresholds=(0.5,), top_k=(1,))
metric = DetectionMAP(subset="test", ground_truth_filename=truth, class_map=["run", "jump"], tiou_thresholds=(0.5,))
rows = [len(load_predictions(predictions).rows), len(load_ground_truth(truth, "test").rows)]
print(json.dumps([report.metrics, metric.compute_file(predictions)["model"], rows]))
"""


def test_a_result_file_is_evaluated_against_an_annotation(tmp_path):
    actions = [{"segment": [1, 4], "label": "run"}, {"segment": [5, 9], "label": "jump"}]
    entry = {"subset": "test", "duration": 10.0, "frame": 300, "annotations": actions}
    found = [actions[0] | {"score": 0.9}, {"segment": [0, 1], "label": "jump", "score": 0.8}]
    (tmp_path / "truth.json").write_text(json.dumps({"database": {"v": entry}}))
    (tmp_path / "predictions.json").write_text(json.dumps({"results": {"v": found}}))
    words = [sys.executable, "-c", SCRIPT, tmp_path / "predictions.json", tmp_path / "truth.json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    metrics, by_metric, rows = json.loads(done.stdout)
    assert metrics == pytest.approx({"average_mAP": 0.5, "mAP@0.50": 0.5, "recall@0.50@1": 0.5})
    assert by_metric == pytest.approx({"average_mAP": 0.5, "mAP@0.50": 0.5})
    assert rows == [2, 2]
