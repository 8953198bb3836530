"""A feature detector small enough for tests."""

import itertools

import torch

from opentad_bi.ops.records import SampleMeta
from opentad_bi.registry import MODELS

CHANNELS, WIDTH, CLASSES = 6, 8, 3


def config(*, levels=3, length=32, window=-1, head=None, projection=None, **options):
    """Config of an ActionFormer on CHANNELS feature channels; `head` and `projection` replace single entries."""
    edges = [0, *(4 * 2**i for i in range(levels - 1)), 10000]
    return {
        "type": "ActionFormer",
        "projection": {
            "type": "Conv1DTransformerProj",
            "in_channels": CHANNELS,
            "out_channels": WIDTH,
            "arch": (2, 1, levels - 1),
            "conv_cfg": {"kernel_size": 3, "proj_pdrop": 0.0},
            "norm_cfg": {"type": "LN"},
            "attn_cfg": {"n_head": 2, "n_mha_win_size": window},
            "path_pdrop": 0.1,
            "max_seq_len": length,
            **(projection or {}),
        },
        "neck": {"type": "FPNIdentity"},
        "rpn_head": {
            "type": "ActionFormerHead",
            "num_classes": CLASSES,
            "prior_generator": {
                "type": "PointGenerator",
                "strides": [2**i for i in range(levels)],
                "regression_range": list(itertools.pairwise(edges)),
            },
            "loss": {"cls_loss": {"type": "FocalLoss"}, "reg_loss": {"type": "DIOULoss"}},
            **(head or {}),
        },
        **options,
    }


def detector(seed=0, **options):
    """The detector in evaluation mode, with weights large enough that everything matters."""
    torch.manual_seed(seed)
    model = MODELS.build(config(**options)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def batch(valid, length=None, seed=0):
    """Features that are zero in the padding, one sample per entry of `valid`."""
    generator = torch.Generator().manual_seed(seed)
    length = length or max(valid)
    mask = torch.arange(length) < torch.tensor(valid)[:, None]
    inputs = torch.randn(len(valid), CHANNELS, max(valid), generator=generator)
    inputs = torch.nn.functional.pad(inputs, (0, length - max(valid))) * mask[:, None]
    return {
        "inputs": inputs,
        "masks": mask,
        "gt_segments": [torch.tensor([[1.0, 4.5], [2.0, max(4, v - 1.0)]]) for v in valid],
        "gt_labels": [torch.tensor([0, 2]) for _ in valid],
        "meta": [SampleMeta(f"video_{i}", 25.0, 60.0, 4, valid_length=v) for i, v in enumerate(valid)],
    }
