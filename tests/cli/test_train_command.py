"""`opentad-bi train` and `opentad-bi test` as they are typed, on a family registered from outside the package."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from close import close
from places import ROOT

from opentad_bi.cli.check import check_data, how_to_generate
from opentad_bi.cli.main import call, parser_of
from opentad_bi.config import load_config
from opentad_bi.utils.weight_files import load_checkpoint

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


@pytest.fixture
def toy_path(monkeypatch):
    """The folder of the toy family on the Python path, for commands run in this process."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "engine"))
    yield
    torch.use_deterministic_algorithms(False)


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


def test_train_then_test(config, tmp_path, toy_path):
    done = run("-m", "opentad_bi", "train", config, "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert "not checked: data: ToyData" in done.stderr
    folder = tmp_path / "exps" / "gpu1_id0"
    assert {"toy_config.py", "resolved_config.py", "log.txt", "log.jsonl", "checkpoint"} <= {
        p.name for p in folder.iterdir()
    }
    assert "[Train]: [002][00004/00004]" in (folder / "log.txt").read_text()
    out = tmp_path / "metrics.json"
    assert call("test", [str(config), "--out", str(out)]) == 0
    best = load_checkpoint(folder / "checkpoint" / "best.pth")["score"]
    assert json.loads(out.read_text())["model"]["mean"] == pytest.approx(best, abs=1e-6)


def test_two_processes_stay_equal_and_match_one(config, tmp_path, toy_path):
    """Under torchrun the ranks end with the same weights, and those of one process on the same global batch."""
    options = ["--skip-check", "--cfg-options", "model.dropout=0.0"]
    done = run("-m", "opentad_bi", "train", config, *options, launcher=torchrun(2))
    assert done.returncode == 0, done.stderr
    assert call("train", [str(config), *options]) == 0
    two = load_checkpoint(tmp_path / "exps" / "gpu2_id0" / "checkpoint" / "epoch_2.pth")
    one = load_checkpoint(tmp_path / "exps" / "gpu1_id0" / "checkpoint" / "epoch_2.pth")
    assert len(two["random"]) == 2
    for name in one["state_dict"]:
        close(two["state_dict"][name], one["state_dict"][name])
    close(torch.tensor(two["best"]), torch.tensor(one["best"]))


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_saves_and_resume_auto_goes_on(config, tmp_path, toy_path, number):
    """The signal goes to the whole process group, loader workers too, as a terminal and job schedulers send it."""
    options = ["--cfg-options", "workflow.end_epoch=5", "length=400000", "solver.train.num_workers=1"]
    words = [sys.executable, "tools/train.py", str(config), "--skip-check", *options]
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
    words = ["--skip-check", "--resume", "auto", "--cfg-options", "workflow.end_epoch=1"]
    assert call("train", [str(config), *words, f"length={4 * (state['iteration'] + 3)}"]) == 0
    assert "resumed" in log.read_text()
    assert load_checkpoint(log.parent / "checkpoint" / "epoch_0.pth")["iteration"] == 0


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_anew(config, tmp_path, toy_path, capsys):
    words, kept = [str(config), "--skip-check", "--cfg-options"], tmp_path / "exps" / "gpu1_id0" / "checkpoint"
    assert call("train", [*words, "workflow.end_epoch=2"]) == 0
    for path in kept.glob("epoch_*.pth"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    capsys.readouterr()
    assert call("train", [*words, "workflow.end_epoch=2", "--resume", "auto"]) == 1
    text = capsys.readouterr().err
    assert f"--resume auto: no checkpoint in {kept} can be read, of 2" in text and "epoch_0.pth is damaged" in text
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before and "best.pth" in before


@pytest.mark.slow
def test_a_signal_to_torchrun_saves_the_run_of_all_processes(config, tmp_path):
    options = ["--skip-check", "--cfg-options", "length=400000", "solver.train.num_workers=1"]
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
    assert call("train", words) == 1
    return capsys.readouterr().err


def test_errors_are_one_message(config, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "engine"))
    for words, message in [
        (["--cfg-options", "model.droput=0.1"], "did you mean 'dropout'"),
        (["--for-resume", "a.pth"], "no branch 'for_model'"),
        (["--resume", tmp_path / "none.pth"], "none.pth does not exist"),
        (["--work-dir", "/proc/nowhere"], "/proc/nowhere/gpu1_id0 is not writable"),
        (["--cfg-options", f"branches.model.load_from={config}"], "not a checkpoint"),
        (["--cfg-options", "solver.train.batch_size=x"], "solver.train.batch_size: a number is expected"),
        (["--cfg-options", "model.type=ToyPair"], "ToyPair has no argument 'dropout'"),
    ]:
        assert message in fail(capsys, config, "--skip-check", *words)


def test_a_checkpoint_of_another_architecture_lists_what_differs(config, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "engine"))
    torch.save({"layers.0.weight": torch.zeros(9, 2), "other": torch.zeros(1)}, tmp_path / "w.pth")
    words = ["--cfg-options", f"branches.model.load_from={tmp_path / 'w.pth'}"]
    error = fail(capsys, config, "--skip-check", *words)
    assert "missing in the file (4): seen, layers.*.bias (x2), layers.3.weight" in error
    assert "unknown to the network (1): other" in error
    assert "layers.0.weight: file (9, 2), network (8, 2)" in error


def test_a_former_run_is_not_overwritten(config, tmp_path, capsys):
    folder = tmp_path / "exps" / "gpu1_id0" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "epoch_0.pth").write_text("precious")
    assert "--resume auto" in fail(capsys, config, "--skip-check")
    assert (folder / "epoch_0.pth").read_text() == "precious"


@pytest.mark.parametrize("joint", [",--back-resume", ", --back-resume", " ,--back-resume"])
def test_joined_flags_get_the_corrected_command(joint, capsys):
    words = f"cfg.py --for-resume A.pth{joint} B.pth".split(" ")
    assert "cfg.py --for-resume A.pth --back-resume B.pth\n" in fail(capsys, *words)


def test_the_given_config_is_kept_and_the_resolved_one_can_go_on(config, tmp_path, toy_path):
    given = config.rename(tmp_path / "config.py")
    folder = tmp_path / "exps" / "gpu1_id0"
    short = ["--cfg-options", "workflow.end_epoch=1"]
    assert call("train", [given, *short]) == 0
    assert (folder / "config.py").read_text() == given.read_text()
    for name, end in (("resolved_config.py", 2), ("config.py", 3)):
        words = ["--resume", "auto", "--cfg-options", f"workflow.end_epoch={end}"]
        assert call("train", [folder / name, *words]) == 0
        assert load_checkpoint(folder / "checkpoint" / f"epoch_{end - 1}.pth")["epoch"] == end - 1
    assert (folder / "config.py").read_text() == given.read_text()


def test_a_run_of_other_processes_is_found(config, tmp_path, capsys, toy_path):
    assert call("train", [config, "--cfg-options", "workflow.end_epoch=1"]) == 0
    folder = tmp_path / "exps"
    (folder / "gpu1_id0").rename(folder / "gpu2_id0")
    error = fail(capsys, config, "--resume", "auto")
    assert str(folder / "gpu2_id0") in error and "--resume PATH" in error
    assert not list(folder.glob("gpu1_id0/checkpoint/*.pth"))
    assert call("test", [config]) == 0
    assert "of another number of processes" in capsys.readouterr().err
    shutil.copytree(folder / "gpu2_id0", folder / "gpu4_id0")
    assert call("test", [config]) == 1
    assert str(folder / "gpu4_id0" / "checkpoint" / "best.pth") in capsys.readouterr().err


def test_what_cannot_work_ends_before_anything_is_built(config, tmp_path, capsys, toy_path):
    (tmp_path / "file").write_text("")
    for words, message in [
        (["--direction", "for"], "has no for_model, only model"),
        (["--direction", "merged"], "has no for_model and no back_model, only model"),
        (["--checkpoint", "a.pth", "--back-resume", "b.pth"], "--checkpoint and"),
        (["--predictions", "a.json", "--direction", "for"], "--predictions and --direction exclude"),
        (["--out", tmp_path / "file" / "x.json"], "choose another by --out"),
        (["--out", tmp_path], "is a folder"),
        (["--save-dir", tmp_path / "file"], "choose another by --save-dir"),
    ]:
        assert call("test", [config, *words]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "exps").exists()
    with pytest.raises(SystemExit):
        call("train", [config, "--device", "gpu"])
    assert "choose cpu or cuda" in capsys.readouterr().err


def test_not_eval_saves_without_numbers(config, tmp_path, capsys, toy_path, monkeypatch):
    assert call("train", [config, "--cfg-options", "workflow.end_epoch=1"]) == 0
    import toy

    monkeypatch.setattr(toy.ToyMetric, "compute", lambda self: pytest.fail("numbers were computed"))
    assert call("test", [config, "--not-eval", "--save-dir", tmp_path / "saved"]) == 0
    assert len(json.loads((tmp_path / "saved" / "result.txt").read_text())) == 7


def test_weights_of_other_classes_are_not_evaluated(config, tmp_path, capsys, toy_path, monkeypatch):
    import toy

    monkeypatch.setattr(toy.ToyData, "classes", ["run", "jump"], raising=False)
    assert call("train", [config, "--cfg-options", "workflow.end_epoch=1"]) == 0
    for names, code in ((["run", "jump"], 0), (["jump", "run"], 1)):
        monkeypatch.setattr(toy.ToyMetric, "classes", names, raising=False)
        for words in ([], ["--not-eval"]):
            assert call("test", [config, *words]) == code
            assert ("0 is 'jump' in evaluation, but 'run' in " in capsys.readouterr().err) == code


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ("demo/single_for", "detection"),
        ("prompt/demo_clips/stt", "clips"),
        ("prompt/demo/custom_prompts", "features"),
        ("fgclip/demo/surveillance", "surveillance"),
    ],
)
def test_who_has_not_generated_a_demonstration_set_is_told_how(config, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"this set is generated by: opentad-bi demo-data {kind}$"):
        check_data(load_config(config))
    dataset = load_config(config).dataset
    folder = parser_of(f"demo-data {kind}").get_default("out")
    folder.mkdir(parents=True)
    assert how_to_generate(dataset) == ""
