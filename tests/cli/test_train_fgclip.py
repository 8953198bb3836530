"""The training command from its flags to its numbers, with an interruption that changes nothing."""

import json

import pytest
import torch
from region_set import CONFIG

from opentad_bi.cli.main import call
from opentad_bi.engine import Runner


@pytest.fixture(autouse=True)
def kernels():
    yield
    torch.use_deterministic_algorithms(False)


def train(data, out, *words):
    options = ["frame_stride=16", "num_frames=4", "evaluation.metrics.0.curves=0"]
    typed = ["--config", CONFIG, "--data_path", data / "train.json", "--image_folder", data, "--output_dir", out,
             "--per_device_train_batch_size", 1, "--gradient_accumulation_steps", 4, "--num_train_epochs", 2,
             "--bf16", "True", "--report_to", "none", "--logging_steps", 1, "--device", "cpu"]  # fmt: skip
    return call("train_fgclip", [*typed, *words, "--cfg-options", *options])


def losses(out):
    """{step: {loss: value}}, the last one where a step was done twice."""
    lines = (out / "gpu1_id0" / "log.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if "loss/global_loss" in row]
    return {row["step"]: {k: v for k, v in row.items() if k.startswith("loss/")} for row in rows}


def test_a_run_that_is_killed_goes_on_with_the_same_next_loss(region_set, tmp_path, monkeypatch, capsys, caplog):
    assert train(region_set, tmp_path / "whole") == 0
    text = capsys.readouterr().err + caplog.text  # what is said before the log begins is in either
    assert "is all ready?" in text and "negatives" in text and "4 accumulated batches become one of 4 videos" in text
    whole = losses(tmp_path / "whole")
    assert len(whole) == 4 and all(0 < row["loss/global_loss"] < 20 for row in whole.values())
    step = Runner.train_step

    def killed(self, batches):
        if self.epoch == 1 and self.iteration == 1:
            raise KeyboardInterrupt
        step(self, batches)

    monkeypatch.setattr(Runner, "train_step", killed)
    assert train(region_set, tmp_path / "cut") == 130
    monkeypatch.setattr(Runner, "train_step", step)
    former = losses(tmp_path / "cut")
    assert len(former) == 3
    assert train(region_set, tmp_path / "cut") == 0
    assert "resumed" in capsys.readouterr().err
    assert losses(tmp_path / "cut") == whole
    checkpoints = [torch.load(tmp_path / run / "gpu1_id0" / "checkpoint" / "epoch_1.pth") for run in ("whole", "cut")]
    for name, tensor in checkpoints[0]["state_dict"].items():
        assert torch.equal(tensor, checkpoints[1]["state_dict"][name]), name

    words = [CONFIG, "--work-dir", tmp_path / "cut", "--device", "cpu", "--out", tmp_path / "numbers.json"]
    options = [f"data_root={region_set}", "frame_stride=16", "evaluation.metrics.0.curves=1"]
    assert call("test", [*words, "--cfg-options", *options]) == 0
    numbers = json.loads((tmp_path / "numbers.json").read_text())["model"]
    assert {"auc", "ap", "abnormal_auc", "top1", "video_top1"} < numbers.keys() and numbers["videos"] == 8
    rows = json.loads((tmp_path / "cut" / "gpu1_id0" / "frame_scores.json").read_text())
    assert rows["frames_per_row"] == 16 and all(8 < len(scores) < 11 for scores in rows["videos"].values())


def test_wrong_texts_of_regions_train_the_hard_loss_where_asked_to(region_set, tmp_path, caplog, capsys):
    entries = json.loads((region_set / "train.json").read_text())
    for entry in entries:
        for region in entry["bbox_info"]:
            region["short_expr_negs"] = {"0": "a parked car", "1": "an empty street"}
    (region_set / "wrong.json").write_text(json.dumps(entries))
    words = ["--num_train_epochs", 1, "--evaluation_strategy", "no", "--skip_check", "--use_hard_neg", "True"]
    assert train(region_set, tmp_path / "out", *words, "--data_path", region_set / "wrong.json") == 0
    assert all(0 < row["loss/hard_loss"] < 20 for row in losses(tmp_path / "out").values())
    assert "hard loss: 16 wrong texts of regions, hard_weight=0.5" in capsys.readouterr().err + caplog.text
    assert train(region_set, tmp_path / "x", *words, "--add_box_loss", "False") == 1
    assert "--use_hard_neg True needs regions" in capsys.readouterr().err


def test_what_is_not_ready_is_not_trained_on(region_set, tmp_path, capsys):
    assert train(region_set, tmp_path / "out", "--gradient_accumulation_steps", 9) == 1
    text = capsys.readouterr().err
    assert "8 samples make no batch of 9" in text and text.splitlines()[-1].startswith("error: not all is ready")
    assert not (tmp_path / "out").exists()
