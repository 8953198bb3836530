"""Encoders of a fine-grained CLIP: of videos and of regions in them, and of captions, which may be long.

Each also estimates what a training step keeps of its work for the gradient, by the shape of its tower.

B videos, T frames, b and t those of a piece, N frames or texts, S side in pixels, L tokens
h x w grid of patches, P = h * w, K regions of all videos, R most regions of a video
D width of a tower, E width of the joint space
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint as recomputed

from ...registry import POOLINGS
from ...utils.validation import check_choice, check_count
from ..clip.loading import CLIPModel
from ..clip.preprocess import FramePreprocess
from ..clip.towers import LARGEST_SCALE, ImageEncoder, TextEncoder

DENSE = ("value", "full")
BLOCK, VIDEO = RECOMPUTE = ("block", "video")
KEPT, FACTOR = 20, 4  # positions of a text that stay, and how far the others are spread
# numbers kept for the gradient per token, width and layer, as autograd keeps them for open_clip's blocks: all, or with
# what lies inside a block computed again
_VISION = {"all": 16.6, "block": 1.58}
_TEXT, _HALF_TEXT = {"all": 16.1, "block": 1.09}, {"all": 18.2, "block": 2.18}  # of what has 16 bits, some keeps 32


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
        hard: have a factor of the cosines for the loss of hard negatives, too.
    """

    def __init__(
        self,
        clip: CLIPModel,
        pooling: dict | None = None,
        *,
        frames: int | None = None,
        dense: str = "value",
        frame_chunk: int | None = None,
        recompute: str | None = None,
        hard: bool = False,
    ) -> None:
        super().__init__()
        check_choice("recompute", recompute, (None, *RECOMPUTE))
        check_count("frames", frames, optional=True)
        self.comes_trained = clip.trained
        self.tower = DenseEncoder(clip.module, dense, checkpoint=recompute == BLOCK)
        self.prepare = FramePreprocess(clip.preprocess)
        sizes = {"width": clip.embed_dim} | ({} if frames is None else {"frames": frames})
        self.pooling = POOLINGS.build(pooling or {"type": "MeanPooling"}, **sizes)
        self.frame_chunk = check_count("frame_chunk", frame_chunk, optional=True)
        self.recompute = recompute == VIDEO
        scale = clip.module.get_parameter("logit_scale").detach().float().reshape(())
        self.logit_scale, self.region_scale = nn.Parameter(scale.clone()), nn.Parameter(scale.clone())
        if hard:
            self.hard_scale = nn.Parameter(scale.clone())

    @property
    def scales(self) -> dict[str, Tensor]:
        """{"global", "region", perhaps "hard"}: logarithms of the factors of the cosines, 0-d"""
        names = {"global": "logit_scale", "region": "region_scale", "hard": "hard_scale"}
        own = dict(self.named_parameters(recurse=False))
        return {kind: own[name] for kind, name in names.items() if name in own}

    def clamp_scales(self) -> None:
        """Keep the factors at 100 at most; not in the graph, as no gradient would lead back from beyond."""
        for scale in self.scales.values():
            scale.data.clamp_(max=LARGEST_SCALE)

    def forward(
        self, inputs: Tensor, valid: Tensor, boxes: Tensor, box_mask: Tensor, region_video: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Features of videos and of regions in them, float32, not normalised.  Returns (B, E), (K, E).

        Args:
            inputs: (B, T, 3, S, S) uint8; valid: (B, T) bool, False for frames that fill up.
            boxes: (K, T, 4) xyxy in 0..1; box_mask: (K, T) bool; region_video: (K,) int64, whose region it is.
        """
        videos, frames = valid.shape
        weights = region_weights(boxes, box_mask, self.tower.grid)  # (K, T, P)
        owner = region_video.cpu()
        seen = torch.zeros(videos, frames).index_add_(0, owner, box_mask.cpu().float()) > 0  # any region there?
        most = int(owner.bincount().max()) if len(owner) else 0
        weights = by_video(weights, region_video, videos, most)  # (B, R, T, P)
        features: list[Tensor] = []
        tokens: list[Tensor] = []
        for row in self._pieces(videos, self._videos_at_once(videos, frames)):
            parts = [
                self._piece(inputs[row, time], weights[row, :, time] if seen[row, time].any() else None)
                for time in self._pieces(frames, self.frame_chunk or frames)
            ]
            features.append(torch.cat([part[0] for part in parts], dim=1))
            found = [part[1] for part in parts if part[1] is not None]
            shape = (features[-1].shape[0], most, self.tower.width)
            tokens.append(sum(found) if found else inputs.new_zeros(shape, dtype=torch.float32))
        whole, sums = torch.cat(features).float(), torch.cat(tokens)
        with torch.autocast(inputs.device.type, enabled=False):
            regions = self.tower.project(sums[region_video, slots(region_video, videos)])
            return self.pooling(whole, valid), regions

    def frames(self, inputs: Tensor, cells: bool = False) -> tuple[Tensor, Tensor | None]:
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
            if tokens is not None:
                with torch.autocast(inputs.device.type, enabled=False):
                    patches.append(self.tower.project(tokens))
        return torch.cat(features), torch.cat(patches) if cells else None

    def training_bytes(self, videos: int, frames: int, half: bool) -> int:
        """Estimate of what a training step keeps of frames for the gradient.

        Args:
            videos, frames: of a batch, and of each of them.
            half: is the arithmetic in 16 bits?
        """
        layers = len(self.tower.encoder.visual.transformer.resblocks)
        frame = (1 + self.tower.grid[0] * self.tower.grid[1]) * self.tower.width * layers * (2 if half else 4)
        whole, piece = videos * frames, min(frames, self.frame_chunk or frames)
        if self.recompute:
            return int(frame * piece * _VISION["all"])
        if self.tower.checkpoint:
            return int(frame * (whole * _VISION["block"] + piece * _VISION["all"] / layers))
        return int(frame * whole * _VISION["all"])

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


class DenseEncoder(nn.Module):
    """Frame features as `encode_image` gives them and, beside them, tokens of the patches.

    "value" runs the last block once more, in which each patch attends to itself alone, so that its token is about what
    stands there and not about the frame (as in MaskCLIP, Zhou et al., ECCV 2022, and FG-CLIP, Xie et al., ICML
    2025); "full" takes the patches of the last block as they are.

    Args:
        clip: the open_clip model; its visual tower is shared, not copied.
        dense: "value" or "full".
        checkpoint: forget what lies inside the blocks and compute it again for the gradient.
    Attributes:
        grid: (h, w).
        width: D.
    Raises:
        ValueError: another `dense`; a tower whose patches have no place in a grid, or whose blocks are of another kind.
    """

    def __init__(self, clip: nn.Module, dense: str = "value", checkpoint: bool = False) -> None:
        super().__init__()
        self.encoder = ImageEncoder(clip)
        self.dense, self.checkpoint = check_choice("dense", dense, DENSE), checkpoint
        visual = self.encoder.visual
        if not self.encoder.promptable or not isinstance(visual.patch_dropout, nn.Identity):
            raise ValueError(
                f"features of regions need a VisionTransformer of open_clip with plain blocks, a class token or a mean "
                f"as its output and no patch dropout, not this {type(visual).__name__}; take a model such as ViT-B-16"
            )
        self.grid: tuple[int, int] = tuple(visual.grid_size)
        self.width: int = visual.transformer.width

    def forward(self, images: Tensor, dense: bool = True) -> tuple[Tensor, Tensor | None]:
        """Features of frames and of their patches.

        Args:
            images: (N, 3, S, S) float32, normalised.
            dense: are the patches asked for?
        Returns:
            (N, E) not normalised, and tokens (N, P, D), row by row and not projected yet (see `project`), or None.
        """
        visual = self.encoder.visual
        *blocks, last = visual.transformer.resblocks
        x = visual.ln_pre(self.encoder.embed(images))
        for block in blocks:
            x = self._run(block, x)
        whole = self._run(last, x)
        features = self.encoder.readout(whole)
        if not dense:
            return features, None
        patches = whole[:, 1:] if self.dense == "full" else self._run(value_path, last, x[:, 1:])
        return features, visual.ln_post(patches)

    def project(self, tokens: Tensor) -> Tensor:
        """To the joint space, in float32: (..., D) -> (..., E). It is linear, so tokens may be averaged before."""
        proj = self.encoder.visual.proj
        return tokens.float() if proj is None else tokens.float() @ proj.float()

    def _run(self, step, *args):
        if not self.checkpoint:
            return step(*args)
        return recomputed(step, *args, use_reentrant=False, preserve_rng_state=False)


def value_path(block: Any, x: Tensor) -> Tensor:
    """A residual block in which every token attends to itself alone: (N, L, D) -> (N, L, D)

    The same as the block with an attention mask that is open on the diagonal, at the price of two linear layers.
    """
    attention, width = block.attn, x.shape[-1]
    bias = None if attention.in_proj_bias is None else attention.in_proj_bias[2 * width :]
    values = F.linear(block.ln_1(x), attention.in_proj_weight[2 * width :], bias)
    x = x + block.ls_1(attention.out_proj(values))
    return x + block.ls_2(block.mlp(block.ln_2(x)))


class CaptionEncoder(TextEncoder):
    """The text tower for captions of videos, which may be long, and for short texts, whose positions stay as they are.

    Long captions have stretched positions (Long-CLIP, Zhang et al., ECCV 2024).

    Args:
        clip: a `CLIPModel`; the text tower is shared, not copied.
        context_length: tokens of a caption: what the tower was trained for (77), or its stretched length (248).
        checkpoint: forget what lies inside the blocks and compute it again for the gradient.
    Raises:
        ValueError: another length, or a tower that takes no embeddings (see `TextEncoder`).
    """

    def __init__(self, clip: CLIPModel, context_length: int | None = None, checkpoint: bool = False) -> None:
        super().__init__(clip.module)
        self.comes_trained = clip.trained
        self.checkpoint, self.tokenizer, self.short = checkpoint, clip.tokenizer, self.context_length
        self.long = self.short if context_length is None else context_length
        stretched = KEPT + FACTOR * (self.short - KEPT)
        if self.long not in (self.short, stretched):
            raise ValueError(f"context_length {context_length!r} is neither {self.short} nor {stretched}")
        with torch.no_grad():
            longer = self.long > self.short
            self.long_positions = nn.Parameter(stretch_positions(self.positional_embedding)) if longer else None

    def encode(self, texts: Sequence[str], long: bool = False) -> Tensor:
        """Features of texts, each different one computed once: list of N texts -> (N, E), not normalised

        Args:
            long: are they captions, whose positions may be the stretched ones? What is beyond the length is cut off.
        """
        if not texts:
            return self.positional_embedding[:0, :1].expand(0, self.embed_dim)  # no rows, but a gradient to nothing
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        features = self.encode_ids(self.tokenizer(list(places), context_length=self.long if long else self.short))
        return features[torch.tensor([places[text] for text in texts], device=features.device)]

    def encode_ids(self, ids: Tensor) -> Tensor:
        """Features of token ids (n, length), padded as the tokenizer does -> (n, E), not normalised"""
        positions = self.long_positions if ids.shape[1] > self.short else None
        return self.encode_tokens(ids, checkpoint=self.checkpoint, positions=positions)

    def training_bytes(self, texts: int, half: bool) -> int:
        """Estimate of what a training step keeps of so many different texts for the gradient; `half`: in 16 bits."""
        text = self.short * self.width * len(self.transformer.resblocks) * (2 if half else 4)
        return int(texts * text * (_HALF_TEXT if half else _TEXT)["block" if self.checkpoint else "all"])


def stretch_positions(table: Tensor) -> Tensor:
    """A longer table of positions: (L, D) -> (KEPT + FACTOR * (L - KEPT), D), so 248 rows for 77.

    The first rows are as they are, the others spread: row KEPT + FACTOR * i + k is (1 - k / FACTOR) of row KEPT + i and
    k / FACTOR of the next; the line through the last two rows is continued behind them.
    """
    rows = table[KEPT:]
    steps = torch.cat([rows[1:] - rows[:-1], rows[-1:] - rows[-2:-1]])
    parts = torch.arange(FACTOR, device=table.device, dtype=table.dtype) / FACTOR
    spread = rows[:, None] + parts[:, None] * steps[:, None]  # (L - KEPT, FACTOR, D)
    return torch.cat([table[:KEPT], spread.flatten(0, 1)])


def axis_weights(low: Tensor, high: Tensor, size: int) -> Tensor:
    """Weight of each cell of an axis in the mean over an interval.

    Args:
        low, high: (...) float32 in 0..1.
        size: number of cells G.
    Returns:
        (..., G) float32; zero for an empty interval, else of sum 1.
    """
    low, high = (x.float().clamp(0, 1)[..., None] * size - 0.5 for x in (low, high))
    cells = torch.arange(size, device=low.device, dtype=torch.float32)
    length = high - low
    count = length.ceil().clamp(0, size)  # samples
    positions = low + (cells + 0.5) * length / count.clamp(min=1)
    used = (cells < count).float()[..., None]  # (..., G samples, 1)
    near = (1 - (positions.clamp(0, size - 1)[..., None] - cells).abs()).clamp(min=0)  # bilinear, (..., samples, G)
    return (near * used).sum(-2) / count.clamp(min=1)


def box_weights(boxes: Tensor, grid: tuple[int, int]) -> Tensor:
    """Weight of each cell in the mean over a box, so that pooling a region is one matrix product.

    They are those of RoIAlign (He et al., ICCV 2017) with one output cell, as many samples as the box covers cells, and
    pixel centres aligned: `torchvision.ops.roi_align(map, boxes * (w, h, w, h), 1, aligned=True)`.

    Args:
        boxes: (..., 4) xyxy in 0..1 of the frame.
        grid: (h, w).
    Returns:
        (..., P) float32, row by row; the whole frame gives 1 / P everywhere, an empty box zero.
    """
    left, top, right, bottom = boxes.unbind(-1)
    rows, columns = axis_weights(top, bottom, grid[0]), axis_weights(left, right, grid[1])
    return (rows[..., :, None] * columns[..., None, :]).flatten(-2)


def region_weights(boxes: Tensor, mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """Weight of each cell of each frame in the mean over the frames in which a region is seen.

    Args:
        boxes: (K, T, 4); mask: (K, T) bool; grid: (h, w).
    Returns:
        (K, T, P) float32
    """
    frames = mask.float() / mask.sum(1, keepdim=True).clamp(min=1)
    return box_weights(boxes, grid) * frames[..., None]


def slots(region_video: Tensor, videos: int) -> Tensor:
    """Place of each region among those of its video: (K,) int64 in 0..B-1, B -> (K,) int64"""
    if not len(region_video):
        return region_video
    hot = F.one_hot(region_video, videos)  # (K, B)
    return hot.cumsum(0).gather(1, region_video[:, None])[:, 0] - 1


def by_video(values: Tensor, region_video: Tensor, videos: int, most: int) -> Tensor:
    """Values of regions in the places of their videos, zero where there is none: (K, ...) -> (B, R, ...)"""
    padded = values.new_zeros((videos, most, *values.shape[1:]))
    padded[region_video, slots(region_video, videos)] = values
    return padded
