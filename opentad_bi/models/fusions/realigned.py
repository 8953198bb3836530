"""Fusions of two detectors that look at one window from both ends (experiments 3-1, 3-2, 3-3).

On the basis of either direction the maps of the other one are brought to its points (`ops.reverse.realign`: the forward
start distance then stands with the backward end distance), mixed with its own, and form one Prediction.

B batch, K classes, C channels, T_l points of level l
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ...ops.names import BACKWARD, FORWARD, PAIR
from ...ops.records import Grid, Prediction
from ...ops.reverse import realign
from ...registry import FUSIONS, MIXERS
from ...utils.validation import check_choice


def flip(prediction: Prediction, lengths: Tensor) -> Prediction:
    """Maps in reversed order of points, start and end distances swapped; padding and lattice are not regarded.

    The first 3-x experiments had it in the place of `realign`; it is kept to measure what that costs.
    """
    return Prediction(
        cls=[x.flip(2) for x in prediction.cls],
        reg=[x.flip(1, 2) for x in prediction.reg],
        masks=prediction.masks,
        points=prediction.points,
    )


ALIGNMENTS = {"exact": realign, "flip": flip}


class RealignedFusion(nn.Module, ABC):
    """What all fusions share: one mixer for each basis, or one for both.

    A subclass applies a mixer in `_mix`.

    Args:
        make_mixer: makes the mixer of one basis.
        tied: the forward and the backward basis share their weights.
        alignment: "exact", or "flip", the reversal of the padded arrays that the first experiments used. It is off by
            up to a stride and is here to show what that costs.
    """

    def __init__(self, make_mixer: Callable[[], nn.Module], *, tied: bool, alignment: str) -> None:
        super().__init__()
        self.tied, self.align = tied, ALIGNMENTS[check_choice("alignment", alignment, ALIGNMENTS)]
        names = ("both",) if tied else PAIR
        self.mixers = nn.ModuleDict({name: make_mixer() for name in names})

    def forward(self, predictions: dict[str, Prediction], lengths: Tensor) -> dict[str, Prediction]:
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

    @abstractmethod
    def _mix(self, mixer: nn.Module, own: Prediction, other: Prediction) -> tuple[list[Tensor], list[Tensor]]:
        """Class logits and distances of all levels, mixed; both predictions are in the time of `own`."""


@FUSIONS.register_module()
class JointFusion(RealignedFusion):
    """One mixer over distances and class logits together, channels (start, end, class 1, ..., class K) (3-1).

    Args:
        mix: config of the mixer.
        grid: the Grid of both detectors.
        tied, alignment: see `RealignedFusion`.
    """

    def __init__(self, mix: dict, grid: Grid, *, tied: bool = False, alignment: str = "exact") -> None:
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

    def __init__(self, boundary: dict, cls: dict, grid: Grid, *, tied: bool = False, alignment: str = "exact") -> None:
        def make_mixer() -> nn.Module:
            distances, logits = build_mixer(boundary, grid, (1, 1)), build_mixer(cls, grid, (grid.num_classes,))
            return nn.ModuleDict({"boundary": distances, "cls": logits})

        super().__init__(make_mixer, tied=tied, alignment=alignment)

    def _mix(self, mixer, own, other):
        cls = mixer["cls"](own.cls, other.cls, own.masks)
        return cls, mixer["boundary"](own.reg, other.reg, own.masks)


def build_mixer(cfg: dict, grid: Grid, outputs: Sequence[int]) -> nn.Module:
    """A mixer of maps whose channels are `outputs`: how many belong to each quantity, such as (start, end, classes)."""
    return MIXERS.build(cfg, outputs=outputs, window=grid.window, lengths=grid.lengths)


def _clean(prediction):
    """Maps in float32 with zeros in the padding, so that nothing of it reaches a valid point."""
    cls, reg = (
        [torch.where(mask[:, None], x.float(), 0.0) for x, mask in zip(maps, prediction.masks, strict=True)]
        for maps in (prediction.cls, prediction.reg)
    )
    return Prediction(cls=cls, reg=reg, masks=prediction.masks, points=prediction.points)
