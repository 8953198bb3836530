"""A pair of detectors: one watches the video, one watches it played in reverse (experiments 1, 1-1 and 2)."""

import torch
from torch import nn

from ...ops.directions import BACKWARD, FORWARD, SINGLE
from ...ops.reverse import mirror_segments, reverse_batch
from ...registry import MODELS, nearest

DIRECTIONS = (FORWARD, BACKWARD)


@MODELS.register_module()
class BiDirectional(nn.Module):
    """Two detectors of any kind; their losses are summed, their detections are told in forward time.

    Args:
        for_model: dict of the detector that sees the video forward.
        back_model: dict of the detector that sees it reversed.
        directions: which of them `predict` asks, of "for" and "back".

    Input is a paired batch {"for": batch, "back": batch}, or only {"for": batch}, or a plain batch of one
    detector: a missing back direction is made here, by reversing the tensors on the device they are on.
    """

    def __init__(self, for_model, back_model, directions=DIRECTIONS):
        super().__init__()
        for direction in directions:
            if direction not in DIRECTIONS:
                raise ValueError(f"direction {direction!r} is unknown; {nearest(direction, DIRECTIONS)}")
        self.for_model, self.back_model = MODELS.build(for_model), MODELS.build(back_model)
        self.directions = tuple(directions)

    def branches(self):
        """Two parts, each with its own optimizer, schedule and initial weights."""
        return {"for_model": self.for_model, "back_model": self.back_model}

    def forward(self, batch):
        """Losses of both detectors: {"for_cls_loss": 0-d, ..., "back_reg_loss": 0-d}."""
        return {
            f"{direction}_{name}": loss
            for direction in DIRECTIONS
            for name, loss in self._network(direction)(self._side(batch, direction)).items()
        }

    @torch.no_grad()
    def predict(self, batch):
        """One `Result` per sample with the candidates of each of `directions`, on the forward grid."""
        merged = None
        for direction in self.directions:
            results = self._network(direction).predict(self._side(batch, direction))
            for result in results:
                result.detections = {direction: result.detections[SINGLE]}
                if direction == BACKWARD:
                    found = result.detections[direction]
                    found.segments = mirror_segments(found.segments, result.meta.valid_length)
            if merged is None:
                merged = results
                continue
            for kept, result in zip(merged, results, strict=True):
                kept.detections.update(result.detections)
        return merged

    def _network(self, direction):
        return self.for_model if direction == FORWARD else self.back_model

    def _side(self, batch, direction):
        """The batch of one direction."""
        if "inputs" in batch:
            batch = {FORWARD: batch}
        return batch[direction] if direction in batch else reverse_batch(batch[FORWARD])
