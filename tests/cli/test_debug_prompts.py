"""The check of a prompt run: one line for each thing, and failures where nothing can be learned."""

import json

import pytest
import torch

from opentad_bi.cli.main import call
from opentad_bi.models.prompts.prompt_learner import PromptLearner

CONFIG = "configs/prompt/demo/custom_prompts.py"


def options(folder, *more):
    return ["--cfg-options", f"data_root={folder}", "solver.train.num_workers=0", *more]


def lines(out):
    return {line["name"]: line for line in json.loads((out / "debug_prompts.json").read_text())}


def test_a_set_that_can_be_learned_passes(prompt_set, tmp_path, capfd):
    words = [CONFIG, "--steps", "5", "--out", tmp_path, "--device", "cpu", *options(prompt_set)]
    assert call("debug-prompts", words) == 0
    found = lines(tmp_path)
    assert {line["level"] for line in found.values()} <= {"ok", "warning"}
    assert "Abuse" in found["samples per class"]["found"] and "of 77" in found["prompt tokens"]["found"]
    assert found["prompts that differ"]["found"] == "14 of 14"
    assert found["loss after the steps"]["level"] == found["gradient of prompt_learner.ctx"]["level"] == "ok"
    assert (tmp_path / "text_cosines.png").stat().st_size > 5000
    assert "gradient of prompt_learner.ctx" in capfd.readouterr().err


def test_the_options_of_the_training_command_do_as_well(prompt_set, tmp_path):
    words = ["--feature-dir", prompt_set / "train", "--initial-prompts-file", prompt_set / "prompts.json"]
    more = ["--cfg-options", "solver.train.num_workers=0"]
    assert call("debug-prompts", [*words, "--steps", "2", "--out", tmp_path, "--device", "cpu", *more]) == 0
    assert lines(tmp_path)["features made by"]["level"] == "ok"


def test_several_fixed_texts_of_a_class_are_not_compared_with_each_other(prompt_set, tmp_path):
    texts = {"Abuse": ["a person is hurt", "a person is hurt !"], "Arson": ["a house burns", "a car burns", "fire"]}
    more = [
        f"model.prompt={ {'type': 'FixedTexts', 'descriptors': texts}!r}",
        "branches.model.trainable=['logit_scale']",
    ]
    words = [CONFIG, "--steps", "1", "--out", tmp_path, "--device", "cpu", *options(prompt_set, *more)]
    assert call("debug-prompts", words) == 0
    found = lines(tmp_path)
    assert found["prompts that differ"]["found"] == "17 of 17"
    first, second = found["cosine of text features"]["found"].partition("(")[2].partition(")")[0].split(" and ")
    assert first != second


def test_prompts_that_are_all_alike_fail(prompt_set, tmp_path, monkeypatch):
    whole = PromptLearner.forward

    def alike(self, embedding):
        prompts, ends = whole(self, embedding)
        return prompts[:1].expand_as(prompts), ends[:1].expand_as(ends)

    monkeypatch.setattr(PromptLearner, "forward", alike)
    words = [CONFIG, "--steps", "2", "--out", tmp_path, "--device", "cpu", *options(prompt_set)]
    assert call("debug-prompts", words) == 1
    found = lines(tmp_path)
    failed = {what for what, line in found.items() if line["level"] == "error"}
    assert {"prompts that differ", "cosine of text features", "gradient of prompt_learner.ctx"} <= failed
    assert found["loss at the start"]["found"].startswith("2.6391")


def test_what_is_wrong_is_one_message(prompt_set, tmp_path, capfd):
    for words, message in (
        ([], "give either a CONFIG, or --feature-dir"),
        ([CONFIG, "--feature-dir", tmp_path], "give either a CONFIG, or --feature-dir"),
        ([CONFIG, "--ctx-mode", "random", "--csc"], "--ctx-mode, --csc would have no effect beside a CONFIG"),
        (
            ["configs/prompt/demo_clips/vidop.py"],
            "has the model VideoCLIP; this check is for prompts that are learned on",
        ),
        ([CONFIG, "--steps", "0"], "--steps 0 must be at least 1"),
    ):
        assert call("debug-prompts", [*words, "--out", tmp_path / "out"]) == 1
        assert message in capfd.readouterr().err


@pytest.fixture(autouse=True)
def kernels():
    """Undo what training asks of torch."""
    yield
    torch.use_deterministic_algorithms(False)
