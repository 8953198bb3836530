"""Videos, and regions in them, to features: the visual half of a fine-grained CLIP."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint as recomputed

from ...registry import POOLINGS
from ...utils.validation import check_count
from ..clip.preprocess import FramePreprocess
from .dense_map import DenseEncoder
from .region_pooling import by_video, region_weights, slots

# B videos, T frames, b and t those of a piece, S side in pixels, K regions of all videos, R most regions of a video
# P patches of a frame, C classes, D width of the tower, E width of the joint space

BLOCK, VIDEO = "block", "video"


class VideoEncoder(nn.Module):
    """Frames through the visual tower in pieces; their pooled features, and means over boxes that move.

    Args:
        clip: a `CLIPModel`; its visual tower is shared, not copied.
        pooling: config of the pooling over time, or None for the mean.
        frames: most frames of a video, for poolings that need to know.
        dense: how patches are read, see `DenseEncoder`.
        frame_chunk: most frames in one pass; None: all at once.
        recompute: None; "block": forget what lies inside a block of the tower and compute it again for the gradient;
            "video": forget all of a piece, at most one video, so that memory is that of one video at any batch.
    """

    def __init__(self, clip, pooling=None, *, frames=None, dense="value", frame_chunk=None, recompute=None):
        super().__init__()
        self.comes_trained = clip.trained
        self.tower = DenseEncoder(clip.module, dense, checkpoint=recompute == BLOCK)
        self.prepare = FramePreprocess(clip.preprocess)
        sizes = {"width": clip.embed_dim} | ({} if frames is None else {"frames": frames})
        self.pooling = POOLINGS.build(pooling or {"type": "MeanPooling"}, **sizes)
        self.frame_chunk = check_count("frame_chunk", frame_chunk, optional=True)
        self.recompute = recompute == VIDEO
        scale = clip.module.logit_scale.detach().float().reshape(())
        self.logit_scale, self.region_scale = nn.Parameter(scale.clone()), nn.Parameter(scale.clone())

    def forward(self, inputs, valid, boxes, box_mask, region_video):
        """Features of videos and of regions in them, float32, not normalised.

        Args:
            inputs: (B, T, 3, S, S) uint8; valid: (B, T) bool, is a frame none that fills up?
            boxes: (K, T, 4) xyxy in 0..1; box_mask: (K, T) bool; region_video: (K,) int64, whose region it is.
        Returns:
            (B, E), (K, E)
        """
        videos, frames = valid.shape
        weights = region_weights(boxes, box_mask, self.tower.grid)  # (K, T, P)
        owner = region_video.cpu()
        seen = torch.zeros(videos, frames).index_add_(0, owner, box_mask.cpu().float()) > 0  # any region there?
        most = int(owner.bincount().max()) if len(owner) else 0
        weights = by_video(weights, region_video, videos, most)  # (B, R, T, P)
        features, tokens = [], []
        for row in self._pieces(videos, self._videos_at_once(videos, frames)):
            parts = [
                self._piece(inputs[row, time], weights[row, :, time] if seen[row, time].any() else None)
                for time in self._pieces(frames, self.frame_chunk or frames)
            ]
            features.append(torch.cat([part[0] for part in parts], dim=1))
            found = [part[1] for part in parts if part[1] is not None]
            shape = (features[-1].shape[0], most, self.tower.encoder.width)
            tokens.append(sum(found) if found else inputs.new_zeros(shape, dtype=torch.float32))
        features, tokens = torch.cat(features).float(), torch.cat(tokens)
        with torch.autocast(inputs.device.type, enabled=False):
            regions = self.tower.project(tokens[region_video, slots(region_video, videos)])
            return self.pooling(features, valid), regions

    def frames(self, inputs, cells=False):
        """Features of frames and, if asked for, of their patches, float32, not normalised.

        Args:
            inputs: (T, 3, S, S) uint8.
        Returns:
            (T, E), and (T, P, E) or None
        """
        features, patches = [], []
        for time in self._pieces(len(inputs), self.frame_chunk or len(inputs)):
            whole, tokens = self.tower(self._images(inputs[time]), dense=cells)
            features.append(whole.float())
            if cells:
                with torch.autocast(inputs.device.type, enabled=False):
                    patches.append(self.tower.project(tokens))
        return torch.cat(features), torch.cat(patches) if cells else None

    def _images(self, frames):
        """(N, 3, S, S) uint8 -> float32, normalised"""
        if frames.shape[-2:] != self.prepare.size:
            raise ValueError(
                f"frames of {tuple(frames.shape[-2:])} pixels, but the visual tower takes {self.prepare.size}"
            )
        return self.prepare.normalise(frames)

    def _videos_at_once(self, videos, frames):
        if self.recompute:
            return 1
        return videos if self.frame_chunk is None else max(1, self.frame_chunk // frames)

    @staticmethod
    def _pieces(length, size):
        return [slice(start, start + size) for start in range(0, length, size)]

    def _piece(self, inputs, weights):
        """(b, t, 3, S, S), (b, R, t, P) or None -> (b, t, E) and sums over patches and frames (b, R, D) or None"""
        if self.recompute and torch.is_grad_enabled():
            return recomputed(self._encode, inputs, weights, use_reentrant=False, preserve_rng_state=False)
        return self._encode(inputs, weights)

    def _encode(self, inputs, weights):
        features, tokens = self.tower(self._images(inputs.flatten(0, 1)), dense=weights is not None)
        features = features.unflatten(0, inputs.shape[:2])
        if weights is None:
            return features, None
        with torch.autocast(inputs.device.type, enabled=False):
            tokens = tokens.float().unflatten(0, inputs.shape[:2]).flatten(1, 2)  # (b, t * P, D)
            return features, weights.flatten(2) @ tokens
