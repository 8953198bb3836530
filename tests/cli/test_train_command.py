"""`tools/train.py` and `tools/test.py` as they are typed, on a family registered from outside the package."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from opentad_bi.cli import train
from opentad_bi.cli.common import run_command
from opentad_bi.engine.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
custom_imports = dict(imports=["toy"], allow_failed_imports=False)
length = 16
dataset = dict(train=dict(type="ToyData", length="${length}"), test=dict(type="ToyData", length=7))
model = dict(type="ToyNet", dropout=0.2)
branches = dict(
    model=dict(
        optimizer=dict(type="AdamW", lr=0.05),
        scheduler=dict(type="LinearWarmupCosineAnnealingLR", warmup_epoch=1, max_epoch=6),
        load_from=None,
    )
)
solver = dict(train=dict(batch_size=4, num_workers=0), test=dict(batch_size=3, num_workers=0), amp=None)
workflow = dict(end_epoch=3, tensorboard=False, keep_last=None)
evaluation = dict(type="ToyMetric")
work_dir = "exps/toy"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "toy_config.py"
    path.write_text(CONFIG.replace("exps/toy", str(tmp_path / "exps")))
    return path


def environment(**more):
    path = os.pathsep.join([str(ROOT / "tests" / "engine"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}


def run(*words, launcher=(sys.executable,), **options):
    command = [*launcher, *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120, check=False, **options
    )


def torchrun(processes):
    return (
        *(sys.executable, "-m", "torch.distributed.run", "--nnodes=1", f"--nproc_per_node={processes}"),
        *("--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0"),
    )


def test_train_then_test(config, tmp_path):
    done = run("tools/train.py", config, "--skip_check", "--seed", "3")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "exps" / "gpu1_id0"
    assert {"toy_config.py", "config.py", "log.txt", "log.jsonl", "checkpoint"} <= {p.name for p in folder.iterdir()}
    assert "[Train]: [002][00004/00004]" in (folder / "log.txt").read_text()
    out = tmp_path / "metrics.json"
    done = run("tools/test.py", config, "--out", out)
    assert done.returncode == 0, done.stderr
    best = load_checkpoint(folder / "checkpoint" / "best.pth")["score"]
    assert json.loads(out.read_text())["model"]["mean"] == pytest.approx(best, abs=1e-6)


def test_two_processes_stay_equal_and_match_one(config, tmp_path):
    """Under torchrun the ranks end with the same weights, and those of one process on the same global batch."""
    options = ["--skip_check", "--cfg-options", "model.dropout=0.0"]
    done = run("tools/train.py", config, *options, launcher=torchrun(2))
    assert done.returncode == 0, done.stderr
    done = run("tools/train_exp_2.py", config, *options)
    assert done.returncode == 0, done.stderr
    two = load_checkpoint(tmp_path / "exps" / "gpu2_id0" / "checkpoint" / "epoch_2.pth")
    one = load_checkpoint(tmp_path / "exps" / "gpu1_id0" / "checkpoint" / "epoch_2.pth")
    assert len(two["random"]) == 2
    for name in one["state_dict"]:
        torch.testing.assert_close(two["state_dict"][name], one["state_dict"][name], atol=1e-6, rtol=1e-5)
    assert two["best"] == pytest.approx(one["best"], abs=1e-6)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_resume_auto_goes_on(config, tmp_path, number):
    """The signal goes to the whole process group, loader workers too, as a terminal and job schedulers send it."""
    options = ["--cfg-options", "workflow.end_epoch=5", "length=400000", "solver.train.num_workers=1"]
    words = [sys.executable, "tools/train.py", str(config), "--skip_check", *options]
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    log = tmp_path / "exps" / "gpu1_id0" / "log.txt"
    deadline = time.time() + 60
    while time.time() < deadline and not (log.exists() and "[Train]" in log.read_text()):
        time.sleep(0.05)
    os.killpg(process.pid, number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130, errors
    state = load_checkpoint(log.parent / "checkpoint" / "interrupt.pth")
    assert state["iteration"] > 0
    assert f"stopped by a signal in epoch {state['epoch'] + 1}" in log.read_text()
    done = run(
        *("tools/train.py", config, "--skip_check", "--resume", "auto", "--cfg-options"),
        *("workflow.end_epoch=1", f"length={4 * (state['iteration'] + 3)}"),
    )
    assert done.returncode == 0, done.stderr
    assert "resumed" in log.read_text()
    assert load_checkpoint(log.parent / "checkpoint" / "epoch_0.pth")["iteration"] == 0


@pytest.mark.slow
def test_a_signal_to_torchrun_saves_the_run_of_all_processes(config, tmp_path):
    options = ["--skip_check", "--cfg-options", "length=400000", "solver.train.num_workers=1"]
    words = [*torchrun(2), "tools/train.py", str(config), "--device", "cpu", *options]
    process = subprocess.Popen(words, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True)
    log = tmp_path / "exps" / "gpu2_id0" / "log.txt"
    deadline = time.time() + 90
    while time.time() < deadline and not (log.exists() and "[Train]" in log.read_text()):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=60)[1]
    assert "stopped by a signal" in log.read_text(), errors
    assert len(load_checkpoint(log.parent / "checkpoint" / "interrupt.pth")["random"]) == 2


def fail(capsys, *words):
    """Run the command in this process; it must fail, with one message on stderr."""
    assert run_command(lambda: train.main([str(word) for word in words])) == 1
    return capsys.readouterr().err


def test_errors_are_one_message(config, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "engine"))
    for words, message in [
        (["--cfg-options", "model.droput=0.1"], "did you mean 'dropout'"),
        (["--for_resume", "a.pth"], "no branch 'for_model'"),
        (["--resume", tmp_path / "none.pth"], "none.pth does not exist"),
        (["--work_dir", "/proc/nowhere"], "/proc/nowhere/gpu1_id0 is not writable"),
        (["--cfg-options", f"branches.model.load_from={config}"], "not a checkpoint"),
    ]:
        assert message in fail(capsys, config, "--skip_check", *words)


def test_a_checkpoint_of_another_architecture_lists_what_differs(config, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "engine"))
    torch.save({"layers.0.weight": torch.zeros(9, 2), "other": torch.zeros(1)}, tmp_path / "w.pth")
    words = ["--cfg-options", f"branches.model.load_from={tmp_path / 'w.pth'}"]
    error = fail(capsys, config, "--skip_check", *words)
    assert "missing in the file (4): seen, layers.0.bias" in error
    assert "unknown to the network (1): other" in error
    assert "layers.0.weight: file (9, 2), network (8, 2)" in error


def test_a_former_run_is_not_overwritten(config, tmp_path, capsys):
    folder = tmp_path / "exps" / "gpu1_id0" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "epoch_0.pth").write_text("precious")
    assert "--resume auto" in fail(capsys, config, "--skip_check")
    assert (folder / "epoch_0.pth").read_text() == "precious"


@pytest.mark.parametrize("joint", [",--back_resume", ", --back_resume", " ,--back_resume"])
def test_joined_flags_get_the_corrected_command(joint):
    words = f"cfg.py --for_resume A.pth{joint} B.pth".split(" ")
    with pytest.raises(ValueError, match=r"cfg\.py --for_resume A\.pth --back_resume B\.pth$"):
        train.main(words)
