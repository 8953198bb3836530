"""What a detector says: raw per-level maps, candidate segments, and the result for one sample."""

from dataclasses import dataclass, field

from torch import Tensor

from .sample import SampleMeta

# B batch, C classes, T_l points of level l, N candidates


@dataclass(frozen=True)
class Grid:
    """Where the points of a detector lie, and how many classes it tells apart.

    Args:
        num_classes: C.
        window: grid positions that windows are padded to.
        strides: L distances between neighbouring points of a level, in grid positions.
        first: L positions of the first point of each level.
    """

    num_classes: int
    window: int
    strides: tuple[int, ...]
    first: tuple[float, ...]

    @property
    def lengths(self):
        """Points of each level in a window."""
        return tuple(self.window // stride for stride in self.strides)


@dataclass
class Prediction:
    """Raw maps of a detector, one list entry per pyramid level.

    Args:
        cls: (B, C, T_l) class logits.
        reg: (B, 2, T_l) distances from a point to start and end, in strides of the level; >= 0 as detectors give
            them, realigned ones may be negative.
        masks: (B, T_l) bool, True where the point is not padding.
        points: (T_l, 4) float32 rows (position on the grid, range low, range high, stride).
    """

    cls: list[Tensor]
    reg: list[Tensor]
    masks: list[Tensor]
    points: list[Tensor]

    def parts(self, prefix=""):
        """(name, tensor, mask) of all maps, as `utils.finite.check_finite` takes them."""
        found = []
        for level, (cls, reg, mask) in enumerate(zip(self.cls, self.reg, self.masks, strict=True)):
            found.append((f"{prefix}class logits of level {level}", cls, mask[:, None]))
            found.append((f"{prefix}distances of level {level}", reg, mask[:, None]))
        return found


@dataclass
class Detections:
    """Candidate segments of one sample, sorted by falling score, on the grid of the sample's window.

    Args:
        segments: (N, 2) float32, start and end in grid positions (fractional, not clipped).
        scores: (N,) float32 in [0, 1].
        labels: (N,) int64 class indices.
    """

    segments: Tensor
    scores: Tensor
    labels: Tensor

    def cpu(self):
        """The same on the CPU."""
        return Detections(self.segments.cpu(), self.scores.cpu(), self.labels.cpu())


@dataclass
class Result:
    """All candidates of one sample: `detections` maps a direction ("model" for a single network; "for", "back",
    "fused_for", "fused_back") to its Detections, every one of them on the forward grid and on the CPU."""

    meta: SampleMeta
    detections: dict[str, Detections] = field(default_factory=dict)
