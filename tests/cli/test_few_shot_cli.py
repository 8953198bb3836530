"""Few shots over several draws: every pair is one run, nothing is done twice, mean and spread are right."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from clip_set import CONFIGS, make_clip_set, tiny, undo_kernels
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.cli import arguments, study
from opentad_bi.cli.demo import write_tower
from opentad_bi.cli.main import call
from opentad_bi.config import raw_config
from opentad_bi.utils.weight_files import load_checkpoint

pytestmark = pytest.mark.usefixtures("no_pictures")

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
    words = [CONFIG, "--seeds", "0", "5", "--work-dir", data.parent / "out", "--device", "cpu"]
    words = [str(word) for word in words]
    assert call("few-shot", [*words, "--shots", "1", "--cfg-options", *tiny(data)]) == 0
    return data, words


def test_every_pair_is_a_run_of_its_draw_and_the_table_is_their_mean(runs):
    data, _ = runs
    folder, found = data.parent / "out" / "few_shot", []
    for shots, seed in PAIRS:
        run = folder / f"K{shots}_seed{seed}"
        state = load_checkpoint(run / "gpu1_id0" / "checkpoint" / "epoch_0.pth")
        assert state["seed"] == seed
        assert f"'sampling_seed': {seed}" in state["config"] and f"'shots': {shots}" in state["config"]
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
    assert call("few-shot", [*words, "--shots", "1", "--cfg-options", *tiny(data, num_workers=1)]) == 0
    text = capfd.readouterr().err
    assert "K=1, seed 0: finished" in text and "epoch_0.pth: epoch 1, iteration 0" in text
    assert [path.stat().st_mtime_ns for path in kept] == former and missing.read_text() == numbers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--shots", "0"], "--shots 0 must be at least 1"),
        (["--shots", "1", "1"], "--shots has 1 twice"),
        (["--shots", "1", "--seeds", "-1"], "--seeds -1 must be at least 0"),
        (["--val-shots", "0"], "--val-shots 0 must be at least 1"),
        (
            ["--shots", "1", "4"],
            "shots=4 and val_shots=4 (of a config: K_train, K_val): class 'Open' has 4 videos only",
        ),
        (
            ["--shots", "1", "--val-shots", "4"],
            "shots=1 and val_shots=4 (of a config: K_train, K_val): class 'Open' has 4 videos only",
        ),
    ],
)
def test_what_is_wrong_shows_before_any_training(runs, tmp_path, capsys, change, message):
    data, words = runs
    out = tmp_path / "out"
    change = [*words, "--work-dir", str(out), *change, "--cfg-options", *tiny(data, artifacts=str(tmp_path / "models"))]
    assert call("few-shot", change) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "models").exists() and not list(out.rglob("*.pth"))


def test_runs_of_another_config_are_not_mixed_in(runs, capsys):
    data, words = runs
    assert call("few-shot", [*words, "--shots", "1", "--cfg-options", *tiny(data, lr=0.5)]) == 1
    text = capsys.readouterr().err
    assert "holds a run of another config: branches.model.optimizer.lr was 0.01, and is 0.5 now" in text


def planned(words, data, folder, shots, seed, **more):
    """The run of one pair."""
    args = arguments.few_shot().parse_args([*words, "--cfg-options", *tiny(data, **more)])
    return study.make_run(args, raw_config(CONFIG), folder, shots, seed)


def test_where_it_is_started_and_how_paths_are_spelt_make_no_other_run(runs, tmp_path, monkeypatch, capfd):
    data, words = runs
    monkeypatch.chdir(tmp_path)
    near = {"data_root": os.path.relpath(data), "artifacts": os.path.relpath(tmp_path / "other")}
    near |= {"workflow.logging_interval": 7, "wandb": {"project": "p"}}
    words = [*words, "--work-dir", os.path.relpath(data.parent / "out"), "--shots", "1"]
    assert call("few-shot", [*words, "--cfg-options", *tiny(data, **near)]) == 0
    text = capfd.readouterr().err
    assert "K=1, seed 0: finished" in text and "K=1, seed 5: finished" in text
    assert not (tmp_path / "other").exists()


def test_artifacts_of_another_study_show_before_any_training(runs, tmp_path, capsys):
    data, words = runs
    words = [*words, "--work-dir", str(tmp_path), "--shots", "1", "--seeds", "7", "0", "--cfg-options"]
    assert call("few-shot", [*words, *tiny(data)]) == 1
    text = capsys.readouterr().err
    assert "K1_seed0 holds the artifacts of another run (out/few_shot/K1_seed0/gpu1_id0)" in text
    assert "--cfg-options run_id=NAME" in text and not list(tmp_path.rglob("*.pth"))
    run = planned(words[:-1], data, tmp_path, 1, 0, run_id="b")
    run.refuse_another()
    left = data.parent / "models" / "video_coop" / "demo_clips" / "b_K1_seed0"
    left.mkdir()
    run.refuse_another()  # an empty folder
    (left / "notes.txt").write_text("of a person")
    with pytest.raises(ValueError, match=r"artifacts of another run \(an unknown one"):
        run.refuse_another()


def test_the_artifacts_of_a_run_that_goes_on_are_its_own(runs, monkeypatch):
    data, words = runs
    run = planned(words, data, data.parent / "out" / "few_shot", 1, 0)
    monkeypatch.setattr(run, "numbers", run.folder / "not_yet.json")
    run.refuse_another()
    monkeypatch.setattr(study, "checkpoint_files", lambda folder: [])
    with pytest.raises(ValueError, match="holds the artifacts of another run"):
        run.refuse_another()


def test_a_pair_sets_all_that_is_drawn(runs, tmp_path):
    data, words = runs
    for shots, val_shots in ((1, 1), (4, 4), (8, 4)):
        cfg = planned(words, data, tmp_path, shots, 3, val_ratio=0.25, sampling_seed=9).config()
        for part in (cfg.dataset.train, cfg.dataset.val):
            assert (part.shots, part.val_shots, part.val_ratio, part.sampling_seed) == (shots, val_shots, 0.0, 3)
    assert planned([*words, "--val-shots", "6"], data, tmp_path, 8, 3).config().dataset.val.val_shots == 6


def test_all_seeds_have_the_same_random_classes_and_other_videos(runs, tmp_path):
    data, words = runs
    random = {"protocol": "random", "protocol_count": 2}
    sets = [planned(words, data, tmp_path, 1, seed, **random).dataset("train") for seed in range(6)]
    assert {tuple(found.classes) for found in sets} == {tuple(sets[0].classes)} and len(sets[0].classes) == 2
    assert len({tuple(found.videos) for found in sets}) > 1
    other = {
        tuple(planned(words, data, tmp_path, 1, 0, **random, protocol_seed=s).dataset("train").classes)
        for s in range(6)
    }
    assert len(other) > 1


@pytest.mark.parametrize("device", ["cuda:1", None])
def test_every_command_of_a_run_gets_its_device_and_overrides(tmp_path, monkeypatch, device):
    said = []
    monkeypatch.setattr(study, "call", lambda name, words: said.append([name, *words]) or 0)
    words = ["c.py", *(["--device", device] if device else []), "--cfg-options", "lr=1"]
    run = study.Run(arguments.few_shot().parse_args(words), tmp_path, {"run_id": "a b"}, 7)
    assert run.train() == run.test() == run.test(tmp_path / "x.json", keys={"lr": 2}, checkpoint="b.pth") == 0
    own = ["c.py", "--work-dir", str(tmp_path), "--seed", "7", *(["--device", device] if device else [])]
    options = ["--cfg-options", "lr=1", "run_id='a b'"]
    assert said[0] == ["train", *own, "--resume", "auto", *options]
    assert said[1] == ["test", *own, "--out", f"{tmp_path}/test.json", "--save-dir", f"{tmp_path}/test", *options]
    files = ["--out", f"{tmp_path}/x.json", "--save-dir", f"{tmp_path}/x", "--checkpoint", "b.pth"]
    assert said[2] == ["test", *own, *files, *options, "lr=2"]


@pytest.mark.parametrize(
    ("told", "numbers"),
    [
        ({"for": {"top1": 0.1}, "model": {"top1": 0.5}}, {"top1": 0.5}),
        ({"merged": {"top1": 0.25}}, {"top1": 0.25}),
        ({"for": {"top1": 0.1}, "back": {"top1": 0.3}}, {"for/top1": 0.1, "back/top1": 0.3}),
    ],
)
def test_numbers_of_several_results_are_no_error(tmp_path, told, numbers):
    (tmp_path / "test.json").write_text(json.dumps(told))
    assert study.read_numbers(tmp_path / "test.json") == numbers


def test_a_config_without_draws_is_refused(capsys):
    config = CONFIGS.parent / "demo" / "custom_prompts.py"
    assert call("few-shot", [str(config), "--device", "cpu"]) == 1
    assert "has no key 'K_train', which random sampling of videos needs" in capsys.readouterr().err


def test_no_config_and_many_processes_are_refused(monkeypatch, capsys):
    assert call("few-shot", ["none.py"]) == 1
    assert capsys.readouterr().err.startswith("error: config none.py does not exist; looked in ")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert call("few-shot", [str(CONFIG)]) == 1
    assert "in one process each" in capsys.readouterr().err


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_summaries_are_numpys(one, other):
    rows = [{"shots": k, "seed": i, "top1": v} for k, values in ((2, one), (16, other)) for i, v in enumerate(values)]
    summary = study.summarise(pd.DataFrame(rows))
    assert list(summary["shots"]) == [2, 16] and list(summary["seeds"]) == [len(one), len(other)]
    np.testing.assert_allclose(summary["top1_mean"], [np.mean(one), np.mean(other)], atol=1e-12)
    np.testing.assert_allclose(summary["top1_std"][1], np.std(other, ddof=1), atol=1e-9)
    assert np.isnan(summary["top1_std"][0]) == (len(one) == 1)
    assert ("+-" in study.table(summary).splitlines()[2]) == (len(one) > 1)


@pytest.fixture
def finished(runs, tmp_path, monkeypatch):
    """A copy of the set and of a finished command of one pair: (folder of the set, words, options)."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "set"
    shutil.copytree(runs[0], data)
    words = [str(CONFIG), "--shots", "1", "--seeds", "0", "--work-dir", "out", "--device", "cpu", "--cfg-options"]
    words += tiny(data)
    assert call("few-shot", words) == 0
    return data, words, tmp_path / "out" / "few_shot" / "K1_seed0"


def test_numbers_of_another_test_set_are_made_anew(finished, capfd):
    data, words, run = finished
    listed = data / "annotations" / "test.txt"
    listed.write_text("".join(listed.read_text().splitlines(keepends=True)[:6]))
    capfd.readouterr()
    assert call("few-shot", words) == 0
    text = capfd.readouterr().err
    assert f"{run.relative_to(run.parents[2])}/test.json is made anew: test.videos was 8 and is 6" in text
    assert len(json.loads((run / "test" / "class_scores.json").read_text())) == 6
    assert call("few-shot", words) == 0
    assert "K=1, seed 0: finished" in capfd.readouterr().err


def test_numbers_of_a_replaced_test_video_are_made_anew(finished, capfd):
    data, words, run = finished
    numbers = json.loads((run / "test.json").read_text())
    one, other = sorted((data / "videos" / "Open").iterdir())[-1], sorted((data / "videos" / "Flash").iterdir())[-1]
    one.write_bytes(other.read_bytes())
    capfd.readouterr()
    assert call("few-shot", words) == 0
    assert f"is made anew: test.sources.Open/{one.stem} is another file" in capfd.readouterr().err
    assert json.loads((run / "test.json").read_text())["model"]["loss"] != numbers["model"]["loss"]


@pytest.mark.parametrize("what", ["tower", "video"])
def test_a_run_of_another_tower_or_other_videos_is_refused(finished, capsys, what):
    data, words, run = finished
    before = (run / "test.json").read_bytes()
    if what == "tower":
        write_tower(data / "tower.json", data / "tower.safetensors", 1, layers=2, patch_size=16)
    else:
        clips = sorted((data / "videos" / "Open").iterdir())
        for clip in clips[:4]:
            clip.write_bytes(clips[-1].read_bytes())
    assert call("few-shot", words) == 1
    text = capsys.readouterr().err
    names = {"tower": "clip.pretrained is another file", "video": "train.sources.Open/Open_00"}
    assert "gpu1_id0 holds a run of other data or weights: " in text and names[what] in text
    assert (run / "test.json").read_bytes() == before


def test_a_copy_of_the_set_with_other_dates_is_the_same(finished, capfd):
    data, words, _ = finished
    for path in data.rglob("*"):
        os.utime(path)
    capfd.readouterr()
    assert call("few-shot", words) == 0
    assert "K=1, seed 0: finished" in capfd.readouterr().err


def test_a_set_that_was_moved_is_the_same(finished, tmp_path, capfd):
    data, words, _ = finished
    (tmp_path / "disk").mkdir()
    moved = shutil.move(data, tmp_path / "disk" / data.name)
    here = [word.replace(f"data_root={str(data)!r}", f"data_root={str(moved)!r}") for word in words]
    assert here != words
    capfd.readouterr()
    assert call("few-shot", here) == 0
    text = capfd.readouterr().err
    assert "K=1, seed 0: finished" in text and "WARNING" not in text
    clip, other = (sorted((moved / "videos" / name).iterdir())[-1] for name in ("Open", "Flash"))
    clip.write_bytes(other.read_bytes())
    assert call("few-shot", here) == 0
    assert f"is made anew: test.sources.Open/{clip.stem} is another file" in capfd.readouterr().err


def test_numbers_of_an_older_version_are_made_anew_or_kept_with_a_warning(finished, capfd):
    _, words, run = finished
    records = [run / "test.made_of.json", run / "gpu1_id0" / "made_of.json"]
    for path in records:
        path.unlink()
    capfd.readouterr()
    assert call("few-shot", words) == 0
    text = capfd.readouterr().err
    assert "nothing says which videos and weights it was trained on" in text
    assert "is made anew: nothing says what they were made of" in text and records[0].is_file()


def test_a_run_that_goes_on_with_other_weights_is_warned_of(finished, capfd):
    data, words, run = finished
    write_tower(data / "tower.json", data / "tower.safetensors", 1, layers=2, patch_size=16)
    args = [str(CONFIG), "--work-dir", str(run), "--device", "cpu", "--resume", "auto", "--skip-check"]
    capfd.readouterr()
    call("train", [*args, *words[words.index("--cfg-options") :], "K_train=1", "end_epoch=2"])
    assert "the run began with other data or weights" in capfd.readouterr().err
