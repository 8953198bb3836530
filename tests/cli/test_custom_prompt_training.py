"""The command of earlier times runs whole, goes on where it ended, and says what is wrong with what it is given."""

import json
import subprocess
import sys
from functools import partial

import pytest
import torch
from close import close
from places import ROOT

from opentad_bi.cli import aliases
from opentad_bi.cli.aliases import core
from opentad_bi.cli.aliases import custom_prompts as command
from opentad_bi.cli.main import call
from opentad_bi.config import load_config
from opentad_bi.engine.hooks import Hook
from opentad_bi.engine.warm_start import fill
from opentad_bi.registry import HOOKS, MODELS
from opentad_bi.utils.weight_files import load_checkpoint

main = partial(call, "custom_prompt_training")
pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(autouse=True)
def kernels():
    """Undo what training asks of torch."""
    yield
    torch.use_deterministic_algorithms(False)


def words(folder, out, *more):
    """The command as it was typed."""
    return [
        "--feature-dir", folder / "train", "--val-feature-dir", folder / "test",
        "--initial-prompts-file", folder / "prompts.json", "--output-dir", out, "--device", "cpu",
        "--num-workers", "0", *more,
    ]  # fmt: skip


def test_the_former_command_trains_resumes_and_leaves_its_files(prompt_set, tmp_path, capfd):
    out = tmp_path / "out"
    options = ["--batch-size", "64", "--lr", "0.02", "--warmup-epochs", "0", "--save-every", "1"]
    assert main(words(prompt_set, out, "--epochs", "2", *options)) == 0
    run = out / "gpu1_id0"
    assert sorted(p.name for p in (run / "checkpoint").iterdir()) == ["best.pth", "epoch_0.pth", "epoch_1.pth"]
    initial, learned = (json.loads((out / f"{name}_prompts.json").read_text()) for name in ("initial", "learned"))
    classes = list(json.loads((prompt_set / "prompts.json").read_text()))
    assert list(initial) == list(learned) == classes and classes[0] == "Normal"
    first = [near[0] for near in initial["Arson"]["nearest_tokens"]]
    assert [near["token"] for near in first[:4]] == ["a", "surveillance", "video", "of"]
    assert max(near["distance"] for near in first) < 1e-2 < learned["Arson"]["nearest_tokens"][0][0]["distance"]
    assert learned["Arson"]["context_shape"] == initial["Arson"]["context_shape"] == [len(first), 64]
    assert (out / "learned_prompts_best.json").is_file() and (out / "curves.png").stat().st_size > 5000
    best = torch.load(out / "checkpoints" / command.BEST, weights_only=True)
    assert best["classnames"] == classes and 0 < best["val_acc"] <= 1 and best["val_loss"] > 0
    assert best["prompt_learner_state_dict"]["ctx"].shape[1] == 64
    model = MODELS.build(load_config(run / "resolved_config.py").model)
    assert fill(model, out / "checkpoints" / command.BEST)["clip"]["model"].endswith("tower.json")
    assert torch.equal(model.prompt_learner.ctx, best["prompt_learner_state_dict"]["ctx"])
    size = (run / "checkpoint" / "epoch_1.pth").stat().st_size
    assert size < 1_000_000  # the tower of 12 MB is not in it
    before = load_checkpoint(run / "checkpoint" / "epoch_1.pth")["state_dict"]["prompt_learner.ctx"]
    capfd.readouterr()
    assert main(words(prompt_set, out, "--epochs", "3", *options, "--resume", "auto")) == 0
    assert "resumed" in capfd.readouterr().err
    after = load_checkpoint(run / "checkpoint" / "epoch_2.pth")["state_dict"]["prompt_learner.ctx"]
    assert not torch.equal(before, after)
    assert main(words(prompt_set, out, "--epochs", "3", *options)) == 1
    assert "holds checkpoints of an earlier run" in capfd.readouterr().err
    for path in (run / "checkpoint").glob("epoch_*.pth"):
        path.unlink()
    former = (run / "checkpoint" / "best.pth").read_bytes()
    assert main(words(prompt_set, out, "--epochs", "3", *options)) == 1
    assert "an earlier run" in capfd.readouterr().err and (run / "checkpoint" / "best.pth").read_bytes() == former
    assert main(words(prompt_set, out, "--epochs", "1", *options, "--resume", "auto")) == 0
    assert "it is best_former_1.pth now" in capfd.readouterr().err
    assert (run / "checkpoint" / "best_former_1.pth").read_bytes() == former


def test_events_give_frame_level_numbers_and_the_test_command_the_same(prompt_set, tmp_path):
    out, truth = tmp_path / "out", prompt_set / "Temporal_Anomaly_Annotation.txt"
    more = ["--annotation-dir", prompt_set / "annotations" / "train", "--strict-mode", "event_only"]
    more += ["--frame-annotation", truth, "--epochs", "2", "--warmup-epochs", "0", "--lr", "0.05", "--amp", "bf16"]
    more += ["--temporal-agg", "attention", "--forbid-list", prompt_set / "test_videos.txt", "--balanced"]
    assert main(words(prompt_set, out, *more)) == 0
    numbers = json.loads((out / "gpu1_id0" / "frame_anomaly.json").read_text())
    assert 0.5 < numbers["auc"] <= 1 and numbers["videos"] == 13 + 26
    state = load_checkpoint(out / "gpu1_id0" / "checkpoint" / "best.pth")["state_dict"]
    assert {"pooling.query", "prompt_learner.ctx"} <= set(state)
    model = MODELS.build(load_config(out / "gpu1_id0" / "resolved_config.py").model)
    kept = fill(model, out / "checkpoints" / command.BEST)
    assert kept["classes"][1] == "Abuse" and torch.equal(model.pooling.query, state["pooling.query"])
    resolved = out / "gpu1_id0" / "resolved_config.py"
    found = tmp_path / "numbers.json"
    assert call("test", [resolved, "--work-dir", out, "--out", found, "--device", "cpu", "--per_class"]) == 0
    told = json.loads(found.read_text())["model"]
    assert told["auc"] == pytest.approx(numbers["auc"], abs=1e-3) and {"top1", "video_top1"} <= set(told)


@HOOKS.register_module(force=True)
class StopAt(Hook):
    """Stops a run amid an epoch, as a signal does."""

    def __init__(self, at):
        self.at = at

    def after_iter(self, runner):
        if runner.iteration == self.at:
            runner.stop = "a test"


def losses(out):
    """{step: loss} of a run."""
    records = map(json.loads, (out / "gpu1_id0" / "log.jsonl").read_text().splitlines())
    return {record["step"]: record["loss/cls_loss"] for record in records if "loss/cls_loss" in record}


def test_a_run_that_was_stopped_goes_on_as_if_nothing_had_happened(prompt_set, tmp_path):
    more = ["--epochs", "2", "--warmup-epochs", "0", "--lr", "0.05", "--shots", "2", "--balanced", "--csc"]
    more += ["--annotation-dir", prompt_set / "annotations" / "train", "--class-weights", "balanced"]
    for name in ("whole", "stopped"):
        stop = ["--cfg-options", "hooks=[{'type': 'StopAt', 'at': 7}]"] if name == "stopped" else []
        assert main(words(prompt_set, tmp_path / name, *more, *stop)) == 0
    assert max(losses(tmp_path / "stopped")) == 7 < max(losses(tmp_path / "whole"))
    assert main(words(prompt_set, tmp_path / "stopped", *more, "--resume", "auto")) == 0
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    contexts = [
        load_checkpoint(tmp_path / name / "gpu1_id0" / "checkpoint" / "epoch_1.pth")["state_dict"]["prompt_learner.ctx"]
        for name in ("whole", "stopped")
    ]
    assert torch.equal(*contexts)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(prompt_set, tmp_path):
    more = ["--epochs", "1", "--warmup-epochs", "0", "--lr", "0.05", "--shots", "2"]
    assert main(words(prompt_set, tmp_path / "one", *more)) == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--rdzv_backend=c10d"]
    torchrun += ["--rdzv_endpoint=localhost:0", ROOT / "tools" / "custom_prompt_training.py"]
    done = subprocess.run(
        [*map(str, [*torchrun, *words(prompt_set, tmp_path / "two", *more)])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = [torch.load(tmp_path / name / "checkpoints" / command.BEST, weights_only=True) for name in ("one", "two")]
    contexts = [content["prompt_learner_state_dict"]["ctx"] for content in found]
    close(*contexts, ulps=1024)


def test_what_is_not_typed_comes_from_the_data(prompt_set, tmp_path, capfd):
    args = aliases.parser("custom_prompt_training").parse_args([str(word) for word in words(prompt_set, tmp_path)])
    typed, config = core.typed_flags(args, command.FLAGS), args.config
    keys = command.recipe(typed, config)
    assert keys["forbid_list"] == str(prompt_set / "test_videos.txt")
    assert keys["clip_model"] == str(prompt_set / "train" / "../tower.json") and keys["clip_quick_gelu"] is None
    del typed["initial_prompts_file"]
    typed |= {"quick_gelu": True, "frames_per_row": 16}
    keys = command.recipe(typed, config)
    assert keys["clip_quick_gelu"] is True
    assert list(keys["model.prompt.class_prompts"])[:2] == ["Normal", "Abuse"]
    assert "--frames-per-row without --frame-annotation or --annotation-dir has no effect" in capfd.readouterr().err
    assert command.own_sentences({"Normal": "x", "Road_Accidents": "y"}, ["roadaccidents"]) == {"Road_Accidents": "y"}
    assert command.own_sentences(None, ["a"]) is None
    capfd.readouterr()
    typed |= {"fps": 25.0, "frames_per_row": 25}
    keys = command.recipe(typed, config)
    assert (keys["fps"], keys["frames_per_row"]) == (25.0, 25) and "give rows" not in capfd.readouterr().err
    typed["frames_per_row"] = 16
    command.recipe(typed, config)
    assert "are of rows of 1 s, but --frames-per-row and --fps give rows of 0.64 s" in capfd.readouterr().err


def test_other_ways_to_start_and_options_without_effect(prompt_set, tmp_path, capfd):
    more = ["--epochs", "1", "--ctx-mode", "random", "--n-ctx", "4", "--csc", "--shots", "1"]
    assert main(words(prompt_set, tmp_path / "a", *more)) == 0
    text = capfd.readouterr().err
    assert "--initial-prompts-file has no effect with --ctx-mode random" in text
    learned = json.loads((tmp_path / "a" / "learned_prompts.json").read_text())
    assert learned["Abuse"]["context_shape"] == [4, 64] and learned["Abuse"]["prompt"] == "X X X X"
    assert learned["Abuse"]["context_vector"] != learned["Arson"]["context_vector"]
    more = ["--epochs", "1", "--warmup-epochs", "0", "--n-ctx", "4", "--shots", "1", "--text-pooling", "eot"]
    assert main(words(prompt_set, tmp_path / "b", *more)) == 0
    assert "--n-ctx has no effect with --ctx-mode class_init" in capfd.readouterr().err


def joined(folder):
    """The prompts of all classes, joined as the earlier command did."""
    return " ".join(json.loads((folder / "prompts.json").read_text()).values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: ["--ctx-mode", "shared_init", "--ctx-init", joined(f)],
            "If the sentences of all classes were joined",
        ),
        (lambda f: ["--initial-prompts-file", f / "none.json"], "none.json does not exist"),
        (lambda f: ["--feature-dir", f / "nothing"], "nothing"),
        (lambda f: ["--forbid-list", wrong(f, "list.txt", "Abuse/Abuse001_x264.mp4")], "Abuse001_x264"),
        (lambda f: ["--initial-prompts-file", wrong(f, "p.json", '{"Abused": "x"}')], "did you mean 'Abuse'"),
        (lambda f: ["--initial-prompts-file", wrong(f, "q.json", json.dumps({"Abuse": "w " * 99}))], "is too long"),
        (lambda f: ["--initial-prompts-file", f.parent / "all.json"], "were joined to one"),
        (lambda f: ["--clip-model", "ViT-B-99", "--pretrained", "x"], "did you mean"),
        (lambda f: ["--clip-model", "ViT-B-32"], "--clip-model ViT-B-32: name its weights by --pretrained"),
        (lambda f: ["--normal-class", "Norml"], "--normal-class 'Norml': unknown class; did you mean 'Normal'"),
        (lambda f: ["--patience", "0"], "patience 0 must be at least 1"),
        (lambda f: ["--epochs", "0"], "--epochs 0 must be at least 1"),
        (lambda f: ["--batch-size", "0"], "batch_size x accumulate is 0; it must be at least 1"),
        (lambda f: ["--lr", "-1"], "optimizer SGD: "),
        (lambda f: ["--initial-prompts-file", wrong(f, "r.json", '{"Abuse": "x", "Abuse": "y"}')], "has 'Abuse' twice"),
        (lambda f: ["--pretrained", "none.pt"], "none.pt"),
    ],
)
def test_what_is_wrong_is_one_message(prompt_set, tmp_path, capfd, change, message):
    (prompt_set.parent / "all.json").write_text(
        json.dumps({c: joined(prompt_set) for c in ("Abuse", "Arson", "Normal")})
    )
    assert main(words(prompt_set, tmp_path / "out", "--epochs", "1", *change(prompt_set))) == 1
    text = capfd.readouterr().err
    assert text.splitlines()[-1].startswith("error: ") and message in text


def wrong(folder, name, text):
    """A file with that text beside the set."""
    path = folder.parent / name
    path.write_text(text)
    return path
