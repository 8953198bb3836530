"""Few shots over several draws: every pair is one run, nothing is done twice, mean and spread are right."""

import json

import numpy as np
import pandas as pd
import pytest
from clip_set import CONFIGS, make_clip_set, tiny, undo_kernels
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.cli import few_shot
from opentad_bi.engine.checkpoint import load_checkpoint

CONFIG = CONFIGS / "video_coop.py"
PAIRS = [(1, 0), (1, 5)]


@pytest.fixture(autouse=True)
def kernels():
    """Leave torch as it was."""
    yield
    undo_kernels()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """(folder of the set, words) of a finished command: one shot, two draws."""
    data = make_clip_set(tmp_path_factory.mktemp("few") / "set")
    words = [CONFIG, "--seeds", "0", "5", "--work_dir", data.parent / "out", "--device", "cpu"]
    words = [str(word) for word in words]
    assert few_shot.main([*words, "--shots", "1", "--cfg-options", *tiny(data)]) == 0
    return data, words


def test_every_pair_is_a_run_of_its_draw_and_the_table_is_their_mean(runs):
    data, _ = runs
    folder, found = data.parent / "out" / "few_shot", []
    for shots, seed in PAIRS:
        run = folder / f"K{shots}_seed{seed}"
        state = load_checkpoint(run / "gpu1_id0" / "checkpoint" / "epoch_0.pth")
        assert state["seed"] == seed
        assert f"'draw_seed': {seed}" in state["config"] and f"'shots': {shots}" in state["config"]
        assert "'val_shots': 1" in state["config"]
        assert (data.parent / "models" / "video_coop" / "demo_clips" / run.name / "checkpoint.pth").is_file()
        found.append(json.loads((run / "test.json").read_text())["model"])
        assert len(json.loads((run / "test" / "class_scores.json").read_text())) == 8  # the test set, not validation
    told = json.loads((folder / "few_shot.json").read_text())
    assert [(run["shots"], run["seed"]) for run in told["runs"]] == PAIRS
    assert [run["loss"] for run in told["runs"]] == [numbers["loss"] for numbers in found]
    (row,) = told["summary"]
    losses = np.array([numbers["loss"] for numbers in found])
    assert row["seeds"] == 2 and row["loss_mean"] == pytest.approx(losses.mean())
    assert row["loss_std"] == pytest.approx(losses.std(ddof=1)) and losses.std() > 0
    table = pd.read_csv(folder / "few_shot.csv")
    assert table["loss_mean"][0] == pytest.approx(losses.mean())
    assert (folder / "few_shot.txt").read_text().split()[:4] == ["shots", "seeds", "top1", "macro"]


def test_what_is_finished_is_left_alone_and_what_is_not_goes_on(runs, capfd):
    data, words = runs
    folder = data.parent / "out" / "few_shot"
    kept = [folder / "K1_seed0" / "gpu1_id0" / "checkpoint" / "epoch_0.pth", folder / "K1_seed0" / "test.json"]
    former = [path.stat().st_mtime_ns for path in kept]
    missing = folder / "K1_seed5" / "test.json"
    numbers = missing.read_text()
    missing.unlink()
    capfd.readouterr()
    assert few_shot.main([*words, "--shots", "1", "--cfg-options", *tiny(data, num_workers=1)]) == 0
    text = capfd.readouterr().err
    assert "K=1, seed 0: finished" in text and "epoch_0.pth: epoch 1, iteration 0" in text
    assert [path.stat().st_mtime_ns for path in kept] == former and missing.read_text() == numbers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--shots", "0"], "--shots 0 must be at least 1"),
        (["--shots", "1", "1"], "--shots has 1 twice"),
        (["--shots", "1", "--seeds", "-1"], "--seeds -1 must be at least 0"),
        (["--shots", "1", "4"], "shots=4 and val_shots=4: class 'Open' has 4 videos only"),
        (["--shots", "1", "--val-shots", "4"], "shots=1 and val_shots=4: class 'Open' has 4 videos only"),
    ],
)
def test_what_is_wrong_shows_before_any_training(runs, tmp_path, capsys, change, message):
    data, words = runs
    out = tmp_path / "out"
    change = [*words, "--work_dir", str(out), *change, "--cfg-options", *tiny(data, artifacts=str(tmp_path / "models"))]
    assert few_shot.main(change) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "models").exists() and not list(out.rglob("*.pth"))


def test_runs_of_another_config_are_not_mixed_in(runs, capsys):
    data, words = runs
    assert few_shot.main([*words, "--shots", "1", "--cfg-options", *tiny(data, lr=0.5)]) == 1
    text = capsys.readouterr().err
    assert "holds a run of another config: branches.model.optimizer.lr was 0.01, and is 0.5 now" in text


def test_a_config_without_draws_is_refused(capsys):
    config = CONFIGS.parent / "demo" / "custom_prompts.py"
    assert few_shot.main([str(config), "--device", "cpu"]) == 1
    assert "has no key 'K_train', by which a draw of videos is told" in capsys.readouterr().err


def test_no_config_and_many_processes_are_refused(monkeypatch, capsys):
    assert few_shot.main(["none.py"]) == 1
    assert capsys.readouterr().err == "error: config none.py does not exist\n"
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert few_shot.main([str(CONFIG)]) == 1
    assert "in one process each" in capsys.readouterr().err


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_summaries_are_numpys(one, other):
    rows = [{"shots": k, "seed": i, "top1": v} for k, values in ((2, one), (16, other)) for i, v in enumerate(values)]
    summary = few_shot.summarise(pd.DataFrame(rows))
    assert list(summary["shots"]) == [2, 16] and list(summary["seeds"]) == [len(one), len(other)]
    np.testing.assert_allclose(summary["top1_mean"], [np.mean(one), np.mean(other)], atol=1e-12)
    np.testing.assert_allclose(summary["top1_std"][1], np.std(other, ddof=1), atol=1e-9)
    assert np.isnan(summary["top1_std"][0]) == (len(one) == 1)
    assert ("+-" in few_shot.table(summary).splitlines()[2]) == (len(one) > 1)
