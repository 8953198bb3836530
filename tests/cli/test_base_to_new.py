"""Base to new: trained on the first half of the classes alone, evaluated on both halves, each among its own classes."""

import json

import pytest
from clip_set import CONFIGS, make_clip_set, tiny, undo_kernels
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.cli import study
from opentad_bi.cli.main import call
from opentad_bi.cli.study import Run
from opentad_bi.utils.weight_files import load_checkpoint

pytestmark = pytest.mark.usefixtures("no_pictures")

CONFIG = str(CONFIGS / "video_coop.py")


@pytest.fixture(autouse=True)
def kernels():
    """Leave torch as it was."""
    yield
    undo_kernels()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(folder of the set, folder of the run) of a finished command."""
    data = make_clip_set(tmp_path_factory.mktemp("base") / "set", train=3, test=1)
    words = [CONFIG, "--work-dir", data.parent / "out", "--device", "cpu", "--cfg-options", *tiny(data)]
    assert call("base-to-new", words) == 0
    return data, data.parent / "out" / "base_to_new" / "seed42"


def test_it_learns_the_base_classes_and_tells_both(done):
    data, folder = done
    best = load_checkpoint(folder / "gpu1_id0" / "checkpoint" / "best.pth")
    assert best["classes"] == ["Open", "Rise"]
    told = json.loads((folder / "base_to_new.json").read_text())
    for name, classes in (("base", {"Open", "Rise"}), ("new", {"Roll", "Flash"})):
        scores = json.loads((folder / name / "class_scores.json").read_text())
        assert {row["label"] for row in scores} == set(scores[0]["probabilities"]) == classes
        assert told[name] == json.loads((folder / f"{name}.json").read_text())["model"]
    assert told["harmonic_mean"] == study.harmonic_mean(told["base"]["top1"], told["new"]["top1"])
    assert (data.parent / "models" / "video_coop" / "demo_clips" / "base_seed42" / "checkpoint.pth").is_file()


def test_another_seed_is_another_run(done, monkeypatch):
    data, folder = done
    seen = []
    monkeypatch.setattr(Run, "train", lambda run: seen.append(run) or 3)
    words = [CONFIG, "--work-dir", data.parent / "out", "--device", "cpu", "--seed", "1", "--cfg-options"]
    for more, name in (((), "base_seed1"), (("run_id=mine",), "mine_base_seed1")):
        assert call("base-to-new", [*words, *tiny(data), *more]) == 3
        hook = seen[-1].config().hooks[-1]
        assert (hook.type, hook.run_id, seen[-1].seed) == ("ArtifactsHook", name, 1)
        assert seen[-1].folder == folder.parent / "seed1"


def test_a_run_of_another_config_is_not_taken_up(done, capsys):
    data, _ = done
    words = [CONFIG, "--work-dir", data.parent / "out", "--device", "cpu", "--cfg-options", *tiny(data, lr=0.5)]
    assert call("base-to-new", words) == 1
    text = capsys.readouterr().err
    assert "holds a run of another config: branches.model.optimizer.lr was 0.01, and is 0.5 now" in text


def test_a_metric_without_accuracy_has_no_harmonic_mean(tmp_path, capfd):
    study.tell(tmp_path / "told.json", {"base": {"auc": 0.5}, "new": {"auc": 0.25}})
    told = json.loads((tmp_path / "told.json").read_text())
    assert told == {"base": {"auc": 0.5}, "new": {"auc": 0.25}, "harmonic_mean": None}


def test_weights_that_are_there_give_the_same_numbers(done, tmp_path):
    data, folder = done
    best = folder / "gpu1_id0" / "checkpoint" / "best.pth"
    words = [CONFIG, "--work-dir", tmp_path, "--device", "cpu", "--checkpoint", best, "--out", tmp_path / "told.json"]
    assert call("base-to-new", [*words, "--cfg-options", *tiny(data)]) == 0
    assert json.loads((tmp_path / "told.json").read_text()) == json.loads((folder / "base_to_new.json").read_text())
    assert not list(tmp_path.rglob("*.pth"))


def test_contexts_that_belong_to_classes_are_refused_before_training(done, tmp_path, capsys):
    data, _ = done
    options = tiny(data, artifacts=str(tmp_path / "models"), **{"model.prompt.csc": True})
    assert call("base-to-new", [CONFIG, "--work-dir", tmp_path, "--device", "cpu", "--cfg-options", *options]) == 1
    assert "what this model learns belongs to the classes" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.pth"))


def test_weights_that_saw_the_new_classes_are_refused(done, tmp_path, capsys):
    data, _ = done
    options = tiny(data, artifacts=str(tmp_path / "models"))
    assert call("train", [CONFIG, "--work-dir", tmp_path, "--device", "cpu", "--cfg-options", *options]) == 0
    words = [CONFIG, "--work-dir", tmp_path / "b", "--device", "cpu", "--cfg-options", *options]
    capsys.readouterr()
    assert call("base-to-new", [*words, "--checkpoint", tmp_path / "gpu1_id0" / "checkpoint" / "best.pth"]) == 1
    assert "was learned on 4 classes that are not the 2 base ones: 'Roll', for one" in capsys.readouterr().err


def test_a_config_without_protocols_is_refused(capsys):
    assert call("base-to-new", [CONFIGS.parent / "demo" / "custom_prompts.py", "--device", "cpu"]) == 1
    assert "has no key 'protocol', which a choice of classes needs" in capsys.readouterr().err


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_harmonic_mean_lies_between_and_nearer_the_lower(b, n):
    mean = study.harmonic_mean(b, n)
    assert min(b, n) - 1e-9 <= mean <= (b + n) / 2 + 1e-9 and mean == study.harmonic_mean(n, b)
    assert study.harmonic_mean(b, b) == pytest.approx(b)
