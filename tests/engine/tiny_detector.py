"""A whole detector on video at toy size, its data, and configs of a single run and of a pair."""

import copy
import random

import torch
from mmengine.config import Config
from torch import nn

from opentad_bi.datasets.detection.paired import collate
from opentad_bi.engine.hooks import Hook
from opentad_bi.ops.records import Detections, Result, SampleMeta
from opentad_bi.ops.reverse import reverse_sample
from opentad_bi.registry import DATASETS, HOOKS, MODELS
from opentad_bi.utils.distributed import rank

LENGTH, SIZE, CHANNELS, CLASSES, WIDTH = 32, 32, 6, 3, 16
FROZEN_VIT = ["backbone.*.adapter.*", "projection.*", "neck.*", "rpn_head.*"]


@DATASETS.register_module(force=True)
class TinyWindows:
    """Windows of noise with two actions, some of them padded; a function of (index, seed) alone.

    Args:
        kind: "frames" or "features".
        length: number of windows.
        backward: play them in reverse.
    """

    collate = staticmethod(collate)

    def __init__(self, kind="frames", length=8, backward=False):
        self.kind, self.length, self.backward = kind, length, backward

    def __len__(self):
        return self.length

    def __getitem__(self, key):
        sample = self.sample(*(key if isinstance(key, tuple) else (key, key)))
        return reverse_sample(sample) if self.backward else sample

    def sample(self, index, seed, back_data_path=None):
        """What `PairedDataset` asks for."""
        valid = LENGTH - 7 * (index % 2)
        generator = torch.Generator().manual_seed(seed)
        if self.kind == "frames":
            inputs = torch.randint(256, (3, LENGTH, SIZE, SIZE), dtype=torch.uint8, generator=generator)
            inputs[:, valid:] = inputs[:, valid - 1 : valid]
        else:
            inputs = torch.randn(CHANNELS, LENGTH, generator=generator)
            inputs[:, valid:] = 0
        start = random.Random(seed).uniform(0, 8)
        return {
            "inputs": inputs,
            "masks": torch.arange(LENGTH) < valid,
            "gt_segments": torch.tensor([[start, start + 3.5], [10.0, start + 14.0]]),
            "gt_labels": torch.tensor([index % CLASSES, 2]),
            "meta": SampleMeta(f"video_{index}", 25.0, 60.0, 4, valid_length=valid),
        }


@MODELS.register_module(force=True)
class LoudPart(nn.Module):
    """A detector without learning, symmetric in time: the stretch where the first feature is above 0.5."""

    def predict(self, batch):
        """One Result per window."""
        return [self._result(x[0], meta) for x, meta in zip(batch["inputs"], batch["meta"], strict=True)]

    def _result(self, x, meta):
        loud = (x > 0.5).nonzero()[:, 0].float()
        segments = torch.stack([loud.min() - 0.25, loud.max() + 0.25])[None]
        return Result(meta, {"model": Detections(segments, torch.tensor([0.9]), torch.tensor([1]))})


@HOOKS.register_module(force=True)
class SaveEveryRank(Hook):
    """The weights of every process, at the end, as rank{r}.pt in the work folder."""

    def after_train(self, runner):
        torch.save(
            {"live": dict(runner.model.named_parameters()), "average": dict(runner.ema.module.named_parameters())},
            runner.work_dir / f"rank{rank()}.pt",
        )


def detector(kind="frames", *, drop=0.0, bi_adapter=False, with_cp=False):
    """Config of an ActionFormer, on features or over a video transformer with adapters."""
    transformer = {
        "type": "VisionTransformerAdapter",
        "img_size": SIZE,
        "embed_dims": WIDTH,
        "depth": 2,
        "num_heads": 2,
        "drop_path_rate": drop,
        "with_cp": with_cp,
        "total_frames": LENGTH,
        "bi_adapter": bi_adapter,
    }
    backbone = {"type": "VideoBackbone", "backbone": transformer, "output_length": LENGTH}
    return {
        "type": "ActionFormer",
        "backbone": backbone if kind == "frames" else None,
        "projection": {
            "type": "Conv1DTransformerProj",
            "in_channels": WIDTH if kind == "frames" else CHANNELS,
            "out_channels": WIDTH,
            "arch": (2, 1, 2),
            "norm_cfg": {"type": "LN"},
            "attn_cfg": {"n_head": 2, "n_mha_win_size": -1},
            "path_pdrop": drop,
            "input_pdrop": drop,
            "max_seq_len": LENGTH,
        },
        "neck": {"type": "FPNIdentity"},
        "rpn_head": {
            "type": "ActionFormerHead",
            "num_classes": CLASSES,
            "prior_generator": {
                "type": "PointGenerator",
                "strides": [1, 2, 4],
                "regression_range": [(0, 4), (4, 8), (8, 10000)],
            },
            "loss": {"cls_loss": {"type": "FocalLoss"}, "reg_loss": {"type": "DIOULoss"}},
        },
    }


def branch(kind="frames", **options):
    """Config of a branch: adapters and detector train, with decay as the published detectors have it."""
    backbone = {"custom": [{"name": "adapter", "lr": 2e-3, "weight_decay": 0.05}], "exclude": ["backbone"]}
    optimizer = {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05, "paramwise": True}
    return {
        "optimizer": optimizer | ({"backbone": backbone} if kind == "frames" else {}),
        "scheduler": {"type": "LinearWarmupCosineAnnealingLR", "warmup_epoch": 1, "max_epoch": 4},
        "clip_grad_norm": 1.0,
        "trainable": FROZEN_VIT if kind == "frames" else None,
        **options,
    }


def run_config(model, branches, data, **solver):
    """Config of two epochs of four iterations, without evaluation."""
    size = {"batch_size": 2, "num_workers": 0}
    cfg = {
        "dataset": data,
        "model": model,
        "branches": branches,
        "solver": {"train": size, "test": size, **solver},
        "workflow": {"end_epoch": 2, "val_eval_interval": 0, "tensorboard": False},
        "hooks": [],
        "work_dir": "exps/tiny",
    }
    return Config(copy.deepcopy(cfg))


def single_config(kind="frames", *, backward=False, drop=0.0, load_from=None, **solver):
    """Config of one detector on windows played forward or backward."""
    data = {"type": "TinyWindows", "kind": kind, "backward": backward}
    model, branches = detector(kind, drop=drop), {"model": branch(kind, load_from=load_from)}
    return run_config(model, branches, {"train": data, "test": data}, **solver)


def pair_config(kind="frames", *, net=None, branches=None, **solver):
    """Config of an unfused pair; the backward windows are made by the model."""
    data = {"type": "TinyWindows", "kind": kind}
    net = net or detector(kind)
    model = {"type": "BiDirectional", "for_model": net, "back_model": net}
    branches = branches or {"for_model": branch(kind), "back_model": branch(kind)}
    wrap = {"type": "PairedDataset", "source": "device"}
    return run_config(model, branches, {"train": data, "test": data, "wrap": wrap}, **solver)
