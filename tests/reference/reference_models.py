"""What the tests of models and of training share: batches, flat predictions, tolerances."""

import torch
from torch import nn

from opentad_bi.ops.segments import decode_segments

# the reference keeps an int64 normaliser in its averaged weights, which is of no use there; ours is averaged as a float
NORMALIZER = "rpn_head.loss_normalizer"


def close(ours, expected, tolerance=1e-5):
    """Equal to `tolerance` of the largest value, or of 1 where that is smaller; one number may be a plain one."""
    expected = torch.as_tensor(expected)
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance * scale)


def our_batch(inputs, fixture):
    """A batch of ours; missing entries come from the inputs of the fixture."""
    keys = ("inputs", "masks", "gt_segments", "gt_labels")
    batch = {k: fixture["inputs"][k] if inputs.get(k) is None else inputs[k] for k in keys}
    if batch["inputs"].dim() == 6:  # one clip per sample: (B, 1, 3, T, H, W)
        batch["inputs"] = batch["inputs"].squeeze(1)
    return batch


def unpadded(prediction):
    """Segments and scores of each sample without padding, all levels in order."""
    mask = torch.cat(prediction.masks, dim=1)
    segments = decode_segments(torch.cat(prediction.points), torch.cat(prediction.reg, dim=2).transpose(1, 2))
    scores = torch.cat(prediction.cls, dim=2).sigmoid().transpose(1, 2)
    return [segments[i][keep] for i, keep in enumerate(mask)], [scores[i][keep] for i, keep in enumerate(mask)]


def without_dropout(model):
    """Set every probability to drop something to 0."""
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout1d):
            module.p = 0.0
        for name in ("drop_prob", "rate"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
