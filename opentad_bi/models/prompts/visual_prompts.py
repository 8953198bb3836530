"""Learned tokens beside those of the frames, in a visual tower that is frozen.

M videos (views of videos), T frames, L tokens of a frame, G global prompts, P tokens that are added
D width of the visual tower
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ...registry import VISUAL_PROMPTS
from ...utils.validation import check_choice, check_count

DEPTHS = ("shallow", "throughout", "deep")


class VisualPrompt(nn.Module):
    """Puts learned tokens into the visual tower; as it stands, none.

    A subclass overrides what it needs of the three places: before the first layer for good (`enter`), in the first
    layer alone (`shallow`), or in any layer alone (`beside`).

    Attributes:
        whole_clips: the frames of a video are seen together, so that every video needs as many of them as the prompt
            was built for, and none of them may be padding.
    """

    whole_clips = True

    def enter(self, x: Tensor) -> Tensor:
        """Change the embedded tokens, before the norm in front of the first layer.

        What is appended stays in all layers.

        Args:
            x: (M, T, L, D), the class token first, positions added.
        Returns:
            (M, T, L', D) with the L tokens in front.
        """
        return x

    def shallow(self) -> Tensor | None:
        """Tokens that pass the norm in front of the first layer and are seen in that layer alone: (P, D) or None."""
        return None

    def beside(self, layer: int, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Tokens that the others attend to in one layer alone, and the summary that a layer gives of the frames.

        The tokens are further keys and values of the attention, behind the first norm of the layer; what would become
        of them is dropped.

        Args:
            layer: its index, from 0.
            x: (M, T, L, D), what goes into the layer.
        Returns:
            tokens (P, D) for all frames, (M, T, P, D) for each or None; summary (M, T, D) of the frames or None.
        """
        return None, None


@VISUAL_PROMPTS.register_module()
class VisualContext(VisualPrompt):
    """Vectors behind the patches of every frame, without positions (VPT, Jia et al., ECCV 2022).

    With a learned text context this is Dual-CoOp.

    Args:
        width: D.
        layers: of the visual tower.
        n_ctx: number of vectors; with 0 the tower is left as it is.
        depth: "shallow": they stand in the first layer alone; "throughout": what becomes of them passes through all
            layers; "deep": every layer has vectors of its own.
        init_std: they start from N(0, init_std).
    Raises:
        ValueError: another depth, a negative number.
    """

    whole_clips = False

    def __init__(
        self, width: int, layers: int, *, n_ctx: int = 8, depth: str = "shallow", init_std: float = 0.02
    ) -> None:
        super().__init__()
        self.depth = check_choice("VisualContext: depth", depth, DEPTHS)
        check_count("VisualContext: n_ctx", n_ctx, lowest=0)
        shape = (layers, n_ctx, width) if depth == "deep" else (n_ctx, width)
        self.ctx = nn.Parameter(torch.empty(shape).normal_(std=init_std)) if n_ctx else None

    def enter(self, x: Tensor) -> Tensor:
        """(M, T, L, D) -> (M, T, L + n_ctx, D) where they stay, else the same"""
        if self.ctx is None or self.depth != "throughout":
            return x
        return torch.cat([x, self.ctx.to(x.dtype).expand(*x.shape[:2], -1, -1)], dim=2)

    def shallow(self) -> Tensor | None:
        """The vectors of the first layer: (n_ctx, D) or None"""
        if self.ctx is None or self.depth == "throughout":
            return None
        return self.ctx[0] if self.depth == "deep" else self.ctx

    def beside(self, layer: int, x: Tensor) -> tuple[Tensor | None, None]:
        """The vectors of a later layer: (n_ctx, D) or None, and no summary"""
        return (self.ctx[layer] if self.depth == "deep" and self.ctx is not None and layer else None), None


@VISUAL_PROMPTS.register_module()
class VideoSummary(VisualPrompt):
    """Summary, local and global tokens of every layer, and an embedding of time (Vita-CLIP, Wasim et al., CVPR 2023).

    They let the frames of a video see each other.
    In each layer a linear map of the class tokens of all T frames gives c (T, D). The summary is c plus what attention
    over the frames gives; frame t gets token t of it. A local token is one learned per frame plus that frame's c; all T
    of them are given to every frame, as are the G global ones. Every layer has its own parameters. The embedding of
    time is added to all tokens of a frame before the first norm; it starts at zero, so that frames enter as the tower
    knows them. Learned tokens start uniform in +-sqrt(6 / (3 * patch^2 + D)).

    Args:
        width: D.
        layers: of the tower.
        frames: T.
        patch: side of a patch in pixels.
        n_global: G, may be 0.
        heads: of the attention over the frames; they divide D.
        summary: give summary tokens.
        local: give local tokens.
        conditioning: add c to the local tokens.
        time: add the embedding of time.
    Raises:
        ValueError: heads that do not divide the width; nothing to learn.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        frames: int,
        patch: int,
        *,
        n_global: int = 8,
        heads: int = 12,
        summary: bool = True,
        local: bool = True,
        conditioning: bool = True,
        time: bool = True,
    ) -> None:
        super().__init__()
        check_count("n_global", n_global, lowest=0)
        if summary and width % check_count("heads", heads):
            raise ValueError(f"VideoSummary: {heads} heads do not divide the width {width} of the visual tower")
        if not (n_global or summary or local or time):
            raise ValueError("VideoSummary has nothing to learn: n_global=0, and summary, local and time are off")
        self.frames = frames if local or time else None  # any number, if no parameter belongs to one of them
        bound = (6 / (3 * patch**2 + width)) ** 0.5
        kinds = {"n_global": n_global, "heads": heads if summary else 0, "local": frames if local else 0}
        self.layers = nn.ModuleList(
            _Layer(width, bound, conditioning=local and conditioning, **kinds) for _ in range(layers)
        )
        self.time = nn.Parameter(torch.zeros(frames, 1, width)) if time else None

    def enter(self, x: Tensor) -> Tensor:
        """Add the embedding of time: (M, T, L, D) -> (M, T, L, D)

        Raises:
            ValueError: another number of frames than this was built for.
        """
        if self.frames not in (None, x.shape[1]):
            raise ValueError(
                f"VideoSummary was built for {self.frames} frames, but a view has {x.shape[1]}; the pipeline and "
                "the model need one number of frames"
            )
        return x if self.time is None else x + self.time.to(x.dtype)

    def beside(self, layer: int, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """What is put beside the tokens of every frame in a layer.

        Args:
            x: (M, T, L, D), the class token first.
        Returns:
            tokens (M, T, P, D) or None, P = G + T + 1 if all kinds are on; summary (M, T, D) or None
        """
        return self.layers[layer](x[:, :, 0])


class _Layer(nn.Module):
    """Tokens of one layer, out of its class tokens; `local` and `heads` are 0 if there are none of that kind."""

    def __init__(self, width, bound, *, n_global, local, heads, conditioning):
        super().__init__()
        self.conditioning = conditioning
        self.global_tokens = _uniform(n_global, width, bound) if n_global else None
        self.local_tokens = _uniform(local, width, bound) if local else None
        self.project = nn.Linear(width, width) if heads or conditioning else None
        self.norm = nn.LayerNorm(width) if heads else None
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True) if heads else None

    def forward(self, first):
        """Class tokens (M, T, D) -> tokens (M, T, P, D) or None, summary (M, T, D) or None"""
        views, frames = first.shape[:2]
        projected = None if self.project is None else self.project(first)
        tokens, summary = [], None
        if self.global_tokens is not None:
            tokens.append(self.global_tokens.expand(views, frames, -1, -1))
        if self.local_tokens is not None:
            local = self.local_tokens + projected if self.conditioning else self.local_tokens.expand(views, -1, -1)
            tokens.append(local.unsqueeze(1).expand(-1, frames, -1, -1))  # all of them beside every frame
        if self.attention is not None:
            normed = self.norm(projected)
            summary = projected + self.attention(normed, normed, normed, need_weights=False)[0]
            tokens.append(summary.unsqueeze(2))
        return (torch.cat(tokens, dim=2) if tokens else None), summary


def _uniform(count, width, bound):
    return nn.Parameter(torch.empty(count, width).uniform_(-bound, bound))


def check_layers(where: str, layers: Iterable[int], **towers: int) -> tuple[int, ...]:
    """`layers` as a sorted tuple, if every tower has them all.

    Args:
        where: name of the argument, for messages.
        layers: indices from 0 on.
        towers: number of layers of each tower, by its name ("text", "visual").
    Raises:
        ValueError: a layer that a tower does not have, or one that is given twice.
    """
    layers = list(layers)
    for layer in layers:
        check_count(f"{where}: layer", layer, lowest=0)
        for name, count in towers.items():
            if layer >= count:
                raise ValueError(f"{where}: the {name} tower has no layer {layer}; it has layers 0 to {count - 1}")
    if len(set(layers)) < len(layers):
        raise ValueError(f"{where}: a layer is given twice in {layers}")
    return tuple(sorted(layers))
