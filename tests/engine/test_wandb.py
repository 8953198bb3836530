"""Weights & Biases: where the key comes from, when the network is left alone, and that nobody is told the key."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from places import ROOT

from opentad_bi.engine.hooks import WritersHook, logging

KEY = "0123456789" * 4


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Arguments and key that a package in the place of wandb was started with."""
    found = {}

    def init(**args):
        found.update(args=args, key=os.environ.get("WANDB_API_KEY"))
        return SimpleNamespace(log=lambda numbers, step: None, finish=lambda: None)

    monkeypatch.setattr(logging, "require", lambda name: SimpleNamespace(init=init))
    monkeypatch.setenv("WANDB_API_KEY", "")  # that it is put back afterwards, also where it was not set
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))  # whoever runs the tests may be logged in
    monkeypatch.chdir(tmp_path)
    return found


def save_token(tmp_path, text):
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "wandb.txt").write_text(text)


def test_without_a_key_a_run_stays_on_this_machine_and_says_so(started, tmp_path, caplog):
    logging.start_wandb({"project": "toy"}, tmp_path)
    assert started == {"args": {"dir": str(tmp_path), "project": "toy", "mode": "offline"}, "key": None}
    assert "no key in WANDB_API_KEY or tokens/wandb.txt" in caplog.text and "mode offline" in caplog.text


@pytest.mark.parametrize("by", ["config", "environment"])
def test_a_mode_that_is_given_stands(started, tmp_path, monkeypatch, caplog, by):
    if by == "environment":
        monkeypatch.setenv("WANDB_MODE", "disabled")
    logging.start_wandb({"mode": "shared"} if by == "config" else {}, tmp_path)
    assert started["args"].get("mode") == ("shared" if by == "config" else None)
    assert not caplog.records


@pytest.mark.parametrize("own", [None, "f" * 40])
def test_the_key_is_that_of_the_environment_else_of_the_file_and_is_not_logged(
    started, tmp_path, monkeypatch, caplog, toy_config, make_runner, own
):
    save_token(tmp_path, f"{KEY}\n")
    if own:
        monkeypatch.setenv("WANDB_API_KEY", own)
    toy_config.workflow.update(wandb={"project": "toy"}, end_epoch=1)
    caplog.set_level("DEBUG")
    runner = make_runner(toy_config)
    runner.train()
    assert started["key"] == (own or KEY)
    assert "mode" not in started["args"]
    written = [path for path in runner.work_dir.rglob("*") if path.is_file()]
    assert len(written) > 2
    for key in (own or KEY, KEY):
        assert key not in caplog.text
        assert not any(key.encode() in path.read_bytes() for path in written)


def test_a_run_that_is_refused_is_not_told(started, toy_config, make_runner):
    toy_config.workflow.update(wandb={}, end_epoch=1)
    toy_config.hooks = [{"type": "ArtifactsHook", "folder": "toy/line"}]
    make_runner(toy_config, "one/gpu1_id0").train()
    started.clear()
    with pytest.raises(ValueError, match="the artifacts of another run"):
        make_runner(toy_config, "two/gpu1_id0").train()
    assert not started


def test_who_is_logged_in_is_online(started, tmp_path):
    for host, mode in (("elsewhere.org", "offline"), (logging.HOST, None)):
        (tmp_path / "netrc").write_text(f"machine {host}\n  login user\n  password {KEY}\n")
        (tmp_path / "netrc").chmod(0o600)
        logging.start_wandb({}, tmp_path)
        assert started["args"].get("mode") == mode


def test_an_empty_file_of_a_key_is_none(started, tmp_path):
    save_token(tmp_path, "\n")
    logging.start_wandb({}, tmp_path)
    assert started["args"]["mode"] == "offline" and started["key"] is None


def test_a_missing_package_is_told_by_name(toy_config, make_runner, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    runner = make_runner(toy_config)
    with pytest.raises(ImportError, match="wandb is needed here: pip install wandb"):
        WritersHook(tensorboard=False, wandb={}).before_train(runner)


SCRIPT = """
import sys
from pathlib import Path
from types import SimpleNamespace
from opentad_bi.engine.hooks import WritersHook
numbers = dict(epoch=0, iteration=1, iters_per_epoch=1, losses=dict(cls_loss=0.5), logged=dict(top1=0.5), lrs={})
runner = SimpleNamespace(work_dir=Path(sys.argv[1]), metrics=dict(model=dict(mean=0.25)), **numbers)
hook = WritersHook(tensorboard=False, wandb=dict(project="toy", mode="offline"))
for point in ("before_train", "after_iter", "after_epoch", "after_train"):
    getattr(hook, point)(runner)
"""


def test_a_run_offline_is_written_below_the_work_folder(tmp_path):
    """In a process of its own: the package leaves threads behind, and its files are whole when the process ends."""
    pytest.importorskip("wandb", reason="wandb is not installed")
    folders = {f"WANDB_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "CACHE", "DATA")}
    env = {name: value for name, value in os.environ.items() if name != "WANDB_API_KEY"} | folders
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    for name in (b"loss/cls_loss", b"logged/top1", b"eval/model/mean"):
        assert name in kept.read_bytes()


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("{project:p}", ValueError, r"needs a dict of arguments of wandb\.init.*got '\{project:p\}'"),
        (True, ValueError, "needs a dict"),
        ({"projetc": "p"}, KeyError, r"workflow\.wandb: unknown key 'projetc'; did you mean 'project'"),
    ],
)
def test_what_is_no_argument_of_wandb_is_an_error_before_the_training(
    monkeypatch, toy_config, make_runner, value, error, message
):
    def init(project=None, entity=None):
        raise AssertionError("a run was started")

    monkeypatch.setattr(logging, "require", lambda name: SimpleNamespace(init=init))
    toy_config.workflow.wandb = value
    with pytest.raises(error, match=message):
        make_runner(toy_config)
    toy_config.workflow.wandb = {"project": "p"}
    make_runner(toy_config)
