"""The model in the loop: two branches with a rate each, an average, a resume that goes on bit for bit."""

import pytest
import torch
from mmengine.config import Config
from region_batches import CLASSES, make_batch

from opentad_bi.engine import Runner
from opentad_bi.registry import DATASETS
from opentad_bi.utils.weight_files import load_checkpoint


@DATASETS.register_module(force=True)
class SomeRegions:
    """Eight videos, every second one with a region."""

    classes, size = CLASSES, 32

    def __len__(self):
        return 8

    def __getitem__(self, key):
        return key[0]

    @staticmethod
    def collate(indices):
        batch = make_batch(len(indices), owners=[i for i, index in enumerate(indices) if index % 2], seed=indices[0])
        batch["meta"] = [f"video {index}" for index in indices]
        return batch


def branch(lr, load_from):
    schedule = {"type": "LinearWarmupCosineAnnealingLR", "warmup_epoch": 1, "max_epoch": 2}
    optimizer = {"type": "AdamW", "lr": lr, "weight_decay": 0.01, "paramwise": True}
    return {"optimizer": optimizer, "scheduler": schedule, "clip_grad_norm": 1.0, "load_from": load_from}


@pytest.fixture
def make(tiny_json, tmp_path):
    """A runner of two epochs of two iterations in a folder of its own."""

    def runner(name, load_from=None):
        folder = tmp_path / name
        (folder / "checkpoint").mkdir(parents=True)
        cfg = {
            "dataset": {"train": {"type": "SomeRegions"}, "test": {"type": "SomeRegions"}},
            "model": {"type": "FGCLIP", "clip": {"model": str(tiny_json)}, "queue": 6, "queue_warmup": 1},
            "branches": {"vision": branch(1e-3, load_from), "text": branch(5e-4, load_from)},
            "solver": {"train": {"batch_size": 4, "num_workers": 0}, "test": {"batch_size": 4, "num_workers": 0}},
            "workflow": {"end_epoch": 2, "tensorboard": False, "checkpoint_interval": 1, "val_eval_interval": 0},
            "evaluation": {"type": "ToyMetric"},
            "work_dir": str(folder),
        }
        cfg["solver"]["amp"] = "bf16"
        return Runner(Config(cfg), work_dir=folder, device=torch.device("cpu"))

    return runner


def test_a_resumed_run_is_the_uninterrupted_one(make):
    whole = make("whole")
    whole.train()
    part = make("part")
    part.train(resume=whole.work_dir / "checkpoint" / "epoch_0.pth")
    wanted, found = (load_checkpoint(r.work_dir / "checkpoint" / "epoch_1.pth") for r in (whole, part))
    for kind in ("state_dict", "state_dict_ema"):
        assert all(torch.equal(found[kind][name], value) for name, value in wanted[kind].items())
    assert set(wanted["branches"]) == {"vision", "text"} and wanted["state_dict"]["queues.region.pushed"] > 0
    rates = [whole.lrs[name][0] for name in ("vision", "text")]
    assert rates[0] == pytest.approx(2 * rates[1], rel=1e-4) and rates[0] > 0
    assert {"global_chance", "region_chance", "global_top1", "region_top1"} <= set(whole.logged)
    third = make("third", load_from=str(whole.work_dir / "checkpoint" / "epoch_1.pth"))
    named = dict(third.model.named_parameters())
    assert all(torch.equal(named[name], wanted["state_dict_ema"][name]) for name in named)
