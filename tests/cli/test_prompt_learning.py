"""What failed before works: contexts that start from the classes' own sentences learn classes, with either readout."""

import json

import pytest
import torch
from places import ROOT

from opentad_bi.cli.main import call


@pytest.fixture(scope="module")
def whole_set(tmp_path_factory):
    """The generated set as `opentad-bi demo-data features` makes it."""
    folder = tmp_path_factory.mktemp("whole") / "set"
    assert call("demo-data features", ["--out", folder]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("text_pooling", ["mean", "eot"])
def test_class_init_learns_the_generated_classes(whole_set, tmp_path, text_pooling):
    words = [ROOT / "configs" / "prompt" / "demo" / "custom_prompts.py", "--work-dir", tmp_path, "--device", "cpu"]
    options = {"data_root": whole_set, "model.text_pooling": text_pooling, "workflow.val_eval_interval": 20}
    assert call("train", [*words, "--cfg-options", *(f"{key}={value}" for key, value in options.items())]) == 0
    torch.use_deterministic_algorithms(False)
    told = json.loads((tmp_path / "gpu1_id0" / "classification.json").read_text())["unit"]
    frames = json.loads((tmp_path / "gpu1_id0" / "frame_anomaly.json").read_text())
    assert told["top1"] >= 0.95 and told["macro"] >= 0.9 and frames["abnormal_auc"] >= 0.98
    log = [json.loads(line) for line in (tmp_path / "gpu1_id0" / "log.jsonl").read_text().splitlines()]
    losses = [record["loss/cls_loss"] for record in log if "loss/cls_loss" in record]
    assert losses[0] > 2 and sum(losses[-20:]) / 20 < 0.5
