"""A config and a runner for the toy family."""

import copy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).parent))
import toy  # noqa: F401 - registers the toy components

from opentad_bi.engine import Runner

BRANCH = {
    "optimizer": {"type": "AdamW", "lr": 0.05, "weight_decay": 0.01},
    "scheduler": {"type": "LinearWarmupCosineAnnealingLR", "warmup_epoch": 1, "max_epoch": 6},
    "clip_grad_norm": 0.5,
}


@pytest.fixture
def toy_config(tmp_path):
    """Config of a single toy network."""
    return Config(
        {
            "dataset": {"train": {"type": "ToyData"}, "test": {"type": "ToyData", "length": 7}},
            "model": {"type": "ToyNet"},
            "branches": {"model": copy.deepcopy(BRANCH)},
            "solver": {
                "train": {"batch_size": 4, "num_workers": 0},
                "test": {"batch_size": 3, "num_workers": 0},
            },
            "workflow": {"end_epoch": 3, "tensorboard": False},
            "evaluation": {"type": "ToyMetric"},
            "work_dir": str(tmp_path),
        }
    )


@pytest.fixture
def pair_config(toy_config):
    """Config of a pair of toy networks."""
    cfg = copy.deepcopy(toy_config)
    cfg.model = {"type": "ToyPair", "first": {"type": "ToyNet"}, "second": {"type": "ToyNet", "width": 4}}
    cfg.branches = {"first": copy.deepcopy(BRANCH), "second": copy.deepcopy(BRANCH)}
    return cfg


@pytest.fixture
def make_runner(tmp_path):
    """Build a runner in a folder of its own."""

    def make(cfg, name="run", **options):
        folder = tmp_path / name
        (folder / "checkpoint").mkdir(parents=True, exist_ok=True)
        return Runner(copy.deepcopy(cfg), work_dir=folder, device=torch.device("cpu"), **options)

    return make
