"""A checkpoint that is whole as a file, but holds no state that a run can resume: one error with file and part."""

import pytest
import torch

from opentad_bi.utils.weight_files import load_checkpoint


def without(*keys):
    def change(state):
        for key in keys[:-1]:
            state = state[key]
        del state[keys[-1]]

    return change


def having(value, *keys):
    def change(state):
        for key in keys[:-1]:
            state = state[key]
        state[keys[-1]] = value

    return change


BRANCH = ("branches", "model")
WEIGHT = "layers.0.weight"
CHANGES = {
    "no weights": (without("state_dict"), "missing or damaged in it: state_dict$"),
    "weights as a list": (having([torch.ones(2)], "state_dict_ema"), "damaged in it: state_dict_ema$"),
    "epoch as text": (having("3", "epoch"), "damaged in it: epoch$"),
    "no random states": (having(None, "random"), "damaged in it: random$"),
    "a weight less": (without("state_dict", WEIGHT), rf"(?s)do not fit.*missing in the file \(1\): {WEIGHT}"),
    "a list as weight": (having([1.0], "state_dict", WEIGHT), rf"(?s)do not fit.*{WEIGHT}: file list"),
    "None as weight": (having(None, "state_dict_ema", WEIGHT), rf"(?s)do not fit.*{WEIGHT}: file NoneType"),
    "sparse": (having(torch.eye(3).to_sparse(), "state_dict", WEIGHT), rf"not dense tensors: {WEIGHT} \(sparse_coo\)"),
    "meta": (having(torch.ones(3, device="meta"), "state_dict", WEIGHT), rf"{WEIGHT} \(meta"),
    "complex": (lambda state: state["state_dict"].update({WEIGHT: state["state_dict"][WEIGHT] * 1j}), "file complex64"),
    "no such branch": (without(*BRANCH), "the state of model in it cannot be restored"),
    "no optimizer": (having(None, *BRANCH, "optimizer"), "the state of model in it cannot be restored"),
    "groups of another network": (having([], *BRANCH, "optimizer", "param_groups"), "the state of model in it"),
    "no schedule": (having(4, *BRANCH, "scheduler"), "the state of model in it cannot be restored"),
    "means as a list": (having({"losses": [1]}, "means"), "the means of the epoch in it cannot be restored"),
    "a random state of text": (having([{"cpu": "x"}], "random"), "the random state in it cannot be restored"),
}


@pytest.fixture
def run(toy_config, make_runner):
    """A function that gives a new run of the same config, and the last checkpoint of a finished one."""
    runner = make_runner(toy_config, "gpu1_id0")
    runner.train()
    return lambda: make_runner(toy_config, "gpu1_id1"), runner.work_dir / "checkpoint" / "epoch_1.pth"


def test_every_damaged_part_is_named_with_the_file(run, tmp_path):
    new, path = run
    runner, damaged = new(), tmp_path / "damaged.pth"
    for change, message in CHANGES.values():
        state = load_checkpoint(path)
        change(state)
        torch.save(state, damaged)
        with pytest.raises(ValueError, match=message) as caught:
            runner.train(resume=damaged)
        assert str(damaged) in str(caught.value)
    for content, message in (([1], "holds a list, no run"), ({"epoch": 1, "state_dict": {}}, "holds no run")):
        torch.save(content, damaged)
        with pytest.raises(ValueError, match=rf"damaged\.pth {message}"):
            runner.train(resume=damaged)
