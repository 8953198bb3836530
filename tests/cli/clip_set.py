"""A tiny generated set of clips with its tower, for tests of commands that train on videos."""

import torch
from places import ROOT

from opentad_bi.cli.demo import write_tower
from opentad_bi.prepare.demo.clips import make_demo_clips

CONFIGS = ROOT / "configs" / "prompt" / "demo_clips"


def make_clip_set(folder, *, train=4, test=2):
    """Write the set to `folder`, with a tower of two layers."""
    make_demo_clips(folder, train=train, test=test)
    write_tower(folder / "tower.json", folder / "tower.safetensors", 0, layers=2, patch_size=16)
    return folder


def tiny(folder, **more):
    """Overrides of the configs of the set, as words: few frames, one epoch, files below the folder alone."""
    values = {
        "data_root": str(folder), "artifacts": str(folder.parent / "models"), "num_frames": 2, "end_epoch": 1,
        "K_train": 2, "K_val": 1, "batch_size": 4, "batches_per_backprop": 1, "workflow.tensorboard": False,
        "evaluation": {"type": "Accuracy", "plots": False}, **more,
    }  # fmt: skip
    return [f"{key}={value!r}" for key, value in values.items()]


def undo_kernels():
    """Undo what training asks of torch."""
    torch.use_deterministic_algorithms(False)
