"""Fusions of two detectors that look at one window from both ends (experiments 3-1, 3-2, 3-3).

On the basis of either direction the maps of the other one are brought to its points (`ops.reverse.realign`: the forward
start distance then stands with the backward end distance), mixed with its own, and form one Prediction.

B batch, K classes, C channels, T_l points of level l
"""

import torch
from torch import nn

from ...ops.names import BACKWARD, FORWARD, PAIR
from ...ops.records import Prediction
from ...ops.reverse import realign
from ...registry import FUSIONS, MIXERS
from .mixers import flip

ALIGNMENTS = {"exact": realign, "flip": lambda prediction, lengths: flip(prediction)}


class RealignedFusion(nn.Module):
    """What all fusions share: one mixer for each basis, or one for both.

    A subclass applies a mixer in `_mix`.

    Args:
        make_mixer: makes the mixer of one basis.
        tied: the forward and the backward basis share their weights.
        alignment: "exact", or "flip", the reversal of the padded arrays that the first experiments used. It is off by
            up to a stride and is here to show what that costs.
    """

    def __init__(self, make_mixer, *, tied, alignment):
        super().__init__()
        if alignment not in ALIGNMENTS:
            raise ValueError(f"alignment {alignment!r} is not one of {', '.join(map(repr, ALIGNMENTS))}")
        self.tied, self.align = tied, ALIGNMENTS[alignment]
        names = ("both",) if tied else PAIR
        self.mixers = nn.ModuleDict({name: make_mixer() for name in names})

    def forward(self, predictions, lengths):
        """Fused maps on the basis of either direction, in float32 whatever the precision around.

        Args:
            predictions: {"for": Prediction, "back": Prediction}, each in its own time.
            lengths: (B,) valid grid positions of every sample, on the device of the maps.
        Returns:
            the same with the fused maps; distances >= 0.
        """
        fused = {}
        with torch.autocast(lengths.device.type, enabled=False):
            for basis, other in ((FORWARD, BACKWARD), (BACKWARD, FORWARD)):
                mixer = self.mixers["both" if self.tied else basis]
                own = predictions[basis]
                cls, reg = self._mix(mixer, _clean(own), _clean(self.align(predictions[other], lengths)))
                fused[basis] = Prediction(cls=cls, reg=[r.relu() for r in reg], masks=own.masks, points=own.points)
        return fused


@FUSIONS.register_module()
class JointFusion(RealignedFusion):
    """One mixer over distances and class logits together, channels (start, end, class 1, ..., class K) (3-1).

    Args:
        mix: config of the mixer.
        grid: the Grid of both detectors.
        tied, alignment: see `RealignedFusion`.
    """

    def __init__(self, mix, grid, *, tied=False, alignment="exact"):
        outputs = (1, 1, grid.num_classes)
        super().__init__(lambda: build_mixer(mix, grid, outputs), tied=tied, alignment=alignment)

    def _mix(self, mixer, own, other):
        stacked = [[torch.cat(pair, dim=1) for pair in zip(p.reg, p.cls, strict=True)] for p in (own, other)]
        mixed = mixer(*stacked, own.masks)
        return [x[:, 2:] for x in mixed], [x[:, :2] for x in mixed]


@FUSIONS.register_module()
class SplitFusion(RealignedFusion):
    """One mixer over distances, another over class logits (3-2, 3-3).

    Args:
        boundary: config of the mixer of start and end distances.
        cls: config of the mixer of class logits.
        grid: the Grid of both detectors.
        tied, alignment: see `RealignedFusion`.
    """

    def __init__(self, boundary, cls, grid, *, tied=False, alignment="exact"):
        def make_mixer():
            distances, logits = build_mixer(boundary, grid, (1, 1)), build_mixer(cls, grid, (grid.num_classes,))
            return nn.ModuleDict({"boundary": distances, "cls": logits})

        super().__init__(make_mixer, tied=tied, alignment=alignment)

    def _mix(self, mixer, own, other):
        cls = mixer["cls"](own.cls, other.cls, own.masks)
        return cls, mixer["boundary"](own.reg, other.reg, own.masks)


def build_mixer(cfg, grid, outputs):
    """A mixer of maps whose channels are `outputs`: how many belong to each quantity, such as (start, end, classes)."""
    return MIXERS.build(cfg, outputs=outputs, window=grid.window, lengths=grid.lengths)


def _clean(prediction):
    """Maps in float32 with zeros in the padding, so that nothing of it reaches a valid point."""
    cls, reg = (
        [torch.where(mask[:, None], x.float(), 0.0) for x, mask in zip(maps, prediction.masks, strict=True)]
        for maps in (prediction.cls, prediction.reg)
    )
    return Prediction(cls=cls, reg=reg, masks=prediction.masks, points=prediction.points)
