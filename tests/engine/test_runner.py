"""Runs as a whole: files, retention, stops, errors."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from places import ROOT

from opentad_bi.engine import NonFiniteLoss
from opentad_bi.engine.checkpoint import checkpoint_files, load_latest, save_checkpoint
from opentad_bi.utils.weight_files import load_checkpoint


def test_work_folder_is_as_users_know_it(toy_config, make_runner):
    toy_config.workflow.tensorboard = True
    runner = make_runner(toy_config)
    runner.train()
    names = {p.name for p in (runner.work_dir / "checkpoint").iterdir()}
    assert names == {"epoch_0.pth", "epoch_1.pth", "epoch_2.pth", "best.pth"}
    records = [json.loads(line) for line in (runner.work_dir / "log.jsonl").read_text().splitlines()]
    assert sum("loss/loss" in r for r in records) == 12
    assert sum("eval/model/mean" in r for r in records) == 3
    assert list((runner.work_dir / "tensorboard").iterdir())
    best = load_checkpoint(runner.work_dir / "checkpoint" / "best.pth")
    assert best["score"] == pytest.approx(runner.best)


def test_keep_last(toy_config, make_runner):
    toy_config.workflow.keep_last = 1
    runner = make_runner(toy_config)
    runner.train()
    assert {p.name for p in (runner.work_dir / "checkpoint").iterdir()} == {"epoch_2.pth", "best.pth"}


def test_evaluation_sees_every_sample_once(toy_config, make_runner):
    runner = make_runner(toy_config)
    assert runner.evaluate()["model"]["count"] == 7


def test_nan_loss_stops_with_the_names_and_keeps_the_state(toy_config, make_runner):
    toy_config.dataset.train.nan_at = 5
    runner = make_runner(toy_config)
    with pytest.raises(NonFiniteLoss, match="sample_5"):
        runner.train()
    state = load_latest(runner.work_dir / "checkpoint")[1] if runner.iteration else None
    assert all(torch.isfinite(p).all() for p in runner.model.parameters())
    assert state is None or state["iteration"] == runner.iteration


def test_early_stop(toy_config, make_runner):
    toy_config.hooks = [{"type": "EarlyStopHook", "patience": 1}]
    toy_config.workflow.end_epoch = 50
    for group in toy_config.branches.values():
        group.optimizer.lr = 0.0
        group.scheduler = None
    runner = make_runner(toy_config)
    runner.train()
    assert runner.epoch == 2


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("solver", {"amp": "fp8"}, "fp8.*fp16"),
        ("solver", {"amp": {"x": 1}}, "fp16"),
        ("workflow", {"keep_last": {"x": 1}}, "keep_last.*at least 1"),
        ("branches", {"model": {"clip_grad_norm": {"x": 1}}}, "clip_grad_norm.*number or None"),
        ("solver", {"batchsize": 3}, "batchsize"),
        ("workflow", {"end_epochs": 3}, "end_epoch"),
        ("branches", {"model": {"optimiser": {}}}, "did you mean 'optimizer'"),
        ("branches", {"modle": {}}, "model"),
        ("model", {"type": "ToyNett"}, "did you mean 'ToyNet'"),
        ("model", {"type": "ToyNet", "widht": 3}, "did you mean 'width'"),
    ],
)
def test_a_typo_is_an_error_that_names_the_nearest(toy_config, make_runner, key, value, message):
    if key == "model":
        toy_config.model = value
    else:
        toy_config[key].update(value)
    with pytest.raises((KeyError, ValueError), match=message):
        make_runner(toy_config)


def test_a_set_smaller_than_a_batch_is_an_error(toy_config, make_runner):
    toy_config.dataset.train.length = 3
    with pytest.raises(ValueError, match=r"3 samples.*4"):
        make_runner(toy_config)


def test_checkpoint_with_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth.*refused"):
        load_checkpoint(tmp_path / "evil.pth")
    assert not (tmp_path / "owned").exists()


def test_damaged_checkpoint_is_passed_over(tmp_path):
    save_checkpoint(tmp_path / "epoch_1.pth", {"epoch": 1})
    save_checkpoint(tmp_path / "epoch_2.pth", {"epoch": 2})
    whole = (tmp_path / "epoch_2.pth").read_bytes()
    (tmp_path / "epoch_2.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"epoch_2\.pth is damaged or not a whole"):
        load_checkpoint(tmp_path / "epoch_2.pth")
    path, state = load_latest(tmp_path)
    assert (path.name, state) == ("epoch_1.pth", {"epoch": 1})


def test_missing_checkpoint_names_its_neighbours(tmp_path):
    save_checkpoint(tmp_path / "epoch_1.pth", {})
    with pytest.raises(FileNotFoundError, match=r"epoch_7\.pth.*epoch_1\.pth"):
        load_checkpoint(tmp_path / "epoch_7.pth")


def test_kill_during_a_checkpoint_write_keeps_the_former_one(tmp_path):
    """A process is killed with SIGKILL while it writes checkpoints in a loop; the file is whole whenever that is."""
    script = textwrap.dedent(
        """
        import sys, torch
        from pathlib import Path
        from opentad_bi.engine.checkpoint import save_checkpoint
        folder, i = Path(sys.argv[1]), 0
        while True:
            save_checkpoint(folder / "epoch_0.pth", {"i": i, "x": torch.full((500_000,), float(i))})
            i += 1
            print(i, flush=True)
        """
    )
    for wait in (0.0, 0.013, 0.029):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        _, state = load_latest(tmp_path)
        assert (state["x"] == state["i"]).all()
        assert [p.name for p in checkpoint_files(tmp_path)] == ["epoch_0.pth"]
