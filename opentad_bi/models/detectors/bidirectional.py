"""A pair of detectors: one sees the video, one sees it played in reverse (experiments 1, 1-1, 2 and 3-x).

B batch, K classes, T grid positions, P points of all levels
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...contracts import Dataset, Model, innermost
from ...ops.names import FORWARD, FUSED, FUSED_PAIR, PAIR, SINGLE
from ...ops.records import Detections, Result
from ...ops.reverse import mirror_segments, reverse_batch
from ...registry import FUSIONS, MODELS, nearest
from ...utils.validation import check_finite, input_parts
from ...utils.weight_files import weights_digest


@MODELS.register_module()
class BiDirectional(Model, nn.Module):
    """Two detectors of any kind; their losses are summed, their detections are in forward time.

    With a fusion, the raw maps of both are mixed on the basis of either direction, and the losses are those of the two
    mixed outputs, each against its own ground truth.

    Args:
        for_model: dict of the detector that sees the video forward.
        back_model: dict of the detector that sees it reversed.
        fusion: dict of what mixes their maps, or None.
        aux_loss_weight: with a fusion, weight w in [0, 1) of the losses of the detectors' own outputs; the fused ones
            have 1 - w, so that the sum stays what it was.
        directions: what `predict` returns, of "for", "back" and, with a fusion, "fused"; default all.
    Raises:
        ValueError: an unknown direction; a fusion of detectors with other classes, windows or points.

    Input is a paired batch {"for": batch, "back": batch}, or only {"for": batch}, or a plain batch of one
    detector: a missing back direction is made here, by reversing the tensors on the device they are on. A batch with
    `raw`, a list of {"for": (K + 2, P), "back": (K + 2, P)} maps as `CachedPredictions` gives it, spares the
    detectors their work.
    """

    fusion: Any

    def __init__(
        self,
        for_model: dict,
        back_model: dict,
        *,
        fusion: dict | None = None,
        aux_loss_weight: float = 0.0,
        directions: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        known = (*PAIR, FUSED) if fusion else PAIR
        for direction in directions or ():
            if direction not in known:
                raise ValueError(f"direction {direction!r} is unknown; {nearest(direction, known)}")
        if not 0 <= aux_loss_weight < 1:
            raise ValueError(f"aux_loss_weight {aux_loss_weight} must be in [0, 1)")
        self.for_model, self.back_model = MODELS.build(for_model), MODELS.build(back_model)
        self.fusion = FUSIONS.build(fusion, grid=self._common_grid()) if fusion else None
        self.aux_loss_weight = aux_loss_weight
        self.directions = tuple(directions or known)

    def branches(self) -> dict[str, nn.Module]:
        """The parts that have their own optimizer, schedule and initial weights."""
        parts = {"for_model": self.for_model, "back_model": self.back_model}
        return parts | ({"fusion": self.fusion} if self.fusion is not None else {})

    def forward(self, batch: dict) -> dict[str, Tensor]:
        """Losses: {"for_cls_loss": 0-d, ..., "back_reg_loss": 0-d}, and "for_unfused_cls_loss", ... where asked for."""
        if self.fusion is None:
            return {
                f"{direction}_{name}": loss
                for direction in PAIR
                for name, loss in self._network(direction)(self._side(batch, direction)).items()
            }
        sides = {direction: self._side(batch, direction) for direction in PAIR}
        raw = {direction: self._raw(sides, direction) for direction in PAIR}
        fused = self.fusion(raw, sides[FORWARD]["masks"].sum(1))
        losses = {}
        for direction, side in sides.items():
            network = self._network(direction)
            for name, loss in network.losses(fused[direction], side).items():
                losses[f"{direction}_{name}"] = loss * (1 - self.aux_loss_weight)
            if self.aux_loss_weight:
                for name, loss in network.losses(raw[direction], side, track=False).items():
                    losses[f"{direction}_unfused_{name}"] = loss * self.aux_loss_weight
        return losses

    @torch.no_grad()
    def predict(self, batch: dict) -> list[Result]:
        """One `Result` per sample, on the forward grid and the CPU: candidates of each of `directions`; "fused" gives
        those of either basis, as "fused_for" and "fused_back". ValueError for maps with NaN or infinite numbers."""
        found = self._fused(batch) if FUSED in self.directions else self._unfused(batch)
        meta = (batch if "masks" in batch else next(iter(batch.values())))["meta"]
        return [Result(one, {direction: rows[i] for direction, rows in found.items()}) for i, one in enumerate(meta)]

    @torch.no_grad()
    def raw_maps(self, batch: dict) -> dict[str, Tensor]:
        """Maps of both detectors, joined over the levels: {"for": (B, K + 2, P), "back": ...}, logits then distances.

        Each direction is in its own time; `CachedPredictions` gives them back. ValueError for maps with NaN or
        infinite numbers.
        """
        raw = {direction: self._raw(batch, direction) for direction in PAIR}
        self._check(batch, raw)
        return {
            direction: torch.cat([torch.cat(maps.cls, dim=2), torch.cat(maps.reg, dim=2)], dim=1).float()
            for direction, maps in raw.items()
        }

    def network_digests(self) -> dict[str, str]:
        """{direction: SHA-256 of the parameters of its detector}."""
        return {direction: weights_digest(dict(self._network(direction).named_parameters())) for direction in PAIR}

    def check_weights(self, dataset: Any) -> None:
        """ValueError if `dataset` holds maps that detectors with other weights made, as its `networks` say."""
        made = Dataset.of(innermost(dataset)).networks
        if not made:
            return
        own = self.network_digests()
        if other := [direction for direction in PAIR if made.get(direction, own[direction]) != own[direction]]:
            raise ValueError(
                f"the cached predictions were made by other weights than those of {' and '.join(other)} here; start "
                "from the checkpoint that made them, or make them again with opentad-bi cache-predictions"
            )

    def adapt_state_dict(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """`state` as it is; ValueError if this pair has a fusion and `state` holds a pair without one."""
        if self.fusion is not None and not any(name.startswith("fusion.") for name in state):
            raise ValueError(
                "the checkpoint holds no fusion, but the config has one; evaluate it with the config of its own run, "
                "or start the training of a fusion from it by --for-resume and --back-resume"
            )
        return state

    def _unfused(self, batch: dict) -> dict[str, list[Detections]]:
        """{direction: list of Detections} of the detectors asked for, one after the other."""
        found = {}
        for direction in self.directions:
            results = self._network(direction).predict(self._side(batch, direction))
            lengths = [result.meta.valid_length for result in results]
            found[direction] = _in_forward_time([r.detections[SINGLE] for r in results], lengths, direction)
        return found

    def _fused(self, batch: dict) -> dict[str, list[Detections]]:
        """The same with what the fusion makes of both."""
        sides = {direction: self._side(batch, direction) for direction in PAIR}
        raw = {direction: self._raw(sides, direction) for direction in PAIR}
        lengths = [meta.valid_length for meta in sides[FORWARD]["meta"]]
        fused = self.fusion(raw, sides[FORWARD]["masks"].sum(1))
        self._check(batch, raw, fused)
        found = {d: self._decode(d, raw[d], sides[d], lengths) for d in PAIR if d in self.directions}
        bases = {name: self._decode(d, fused[d], sides[d], lengths) for d, name in zip(PAIR, FUSED_PAIR, strict=True)}
        return found | bases

    def _check(self, batch, raw, fused=None):
        """ValueError, with the video, for inputs, raw maps, or those that a fusion made, that are not finite."""
        sides = {FORWARD: batch} if "masks" in batch else batch
        parts = []
        for direction, side in sides.items():
            parts += input_parts(side, channels=1, name=f"inputs ({direction})")
        for what, maps in (("", raw), ("fused ", fused or {})):
            for direction, prediction in maps.items():
                parts += prediction.parts(f"{direction}: {what}")
        check_finite(parts, next(iter(sides.values()))["meta"], self)

    def _decode(self, direction, prediction, side, lengths):
        detections = [d.cpu() for d in self._network(direction).decode(prediction, side)]
        return _in_forward_time(detections, lengths, direction)

    def _raw(self, batch, direction):
        """Maps of one detector; without a graph if nothing in it trains."""
        side, network = self._side(batch, direction), self._network(direction)
        if "raw" in side:
            return network.restore(torch.stack([maps[direction] for maps in side["raw"]]), side["masks"])
        trains = any(p.requires_grad for p in network.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and trains):
            return network.raw(side)

    def _network(self, direction: str) -> Any:
        return self.for_model if direction == FORWARD else self.back_model

    def _side(self, batch, direction):
        """The batch of one direction."""
        if "masks" in batch:
            batch = {FORWARD: batch}
        return batch[direction] if direction in batch else reverse_batch(batch[FORWARD])

    def _common_grid(self):
        """The Grid of both detectors, which must be one."""
        grids = [network.grid() for network in (self.for_model, self.back_model)]
        if grids[0] != grids[1]:
            raise ValueError(
                "a fusion needs detectors with the same classes, window and points, but for_model has "
                f"{grids[0]} and back_model {grids[1]}"
            )
        return grids[0]


def _in_forward_time(detections, lengths, direction):
    """Detections of one direction, brought to forward time."""
    if direction == FORWARD:
        return detections
    return [
        Detections(mirror_segments(found.segments, length), found.scores, found.labels)
        for found, length in zip(detections, lengths, strict=True)
    ]
