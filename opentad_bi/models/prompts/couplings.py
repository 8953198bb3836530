"""Prompts that couple both towers.

M views (clips of a video), T frames of a view, L tokens of a frame, P tokens beside them, n prompts of a layer
D_t, D_v widths of the text and of the visual tower
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...registry import COUPLINGS
from ...utils.validation import check_count
from .visual_prompts import VisualPrompt, check_layers


class Coupling(VisualPrompt):
    """A visual prompt that also gives prompts of the text tower.

    Attributes:
        per_video: the texts differ from video to video.
    """

    per_video = False

    @abstractmethod
    def text(self, summaries: list[Tensor | None] | None = None) -> dict[int, Tensor]:
        """Prompts of the text tower: {layer: (n, D_t), or (M, n, D_t) where they differ from video to video}

        Args:
            summaries: of every layer of the visual tower, (M, T, D_v) or None; None where it was not run with prompts.
        """


@COUPLINGS.register_module()
class MappedPrompts(Coupling):
    """In some layers text prompts are learned and a linear map makes visual ones of them, in others the reverse (after
    ViLT-CLIP, Wang et al., AAAI 2024).

    The maps belong to one layer each. In a layer of both lists either tower has its own prompts and those mapped
    from the other, 2n in all, its own first.

    Args:
        text_width: D_t.
        visual_width: D_v.
        text_layers: layers of the text tower.
        visual_layers: layers of the visual tower.
        n_ctx: n.
        text_to_visual: layers whose text prompts are learned.
        visual_to_text: layers whose visual prompts are learned.
        init_std: of the prompts.
    Raises:
        ValueError: a layer that a tower does not have; no layer at all.
    """

    whole_clips = False  # every frame is prompted alike

    def __init__(
        self,
        text_width: int,
        visual_width: int,
        text_layers: int,
        visual_layers: int,
        *,
        n_ctx: int = 4,
        text_to_visual: Sequence[int] = (0, 1, 2, 3, 4),
        visual_to_text: Sequence[int] = (5, 6, 7, 8, 9),
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        check_count("n_ctx", n_ctx)
        towers = {"text": text_layers, "visual": visual_layers}
        self.text_to_visual = check_layers("text_to_visual", text_to_visual, **towers)
        self.visual_to_text = check_layers("visual_to_text", visual_to_text, **towers)
        if not self.text_to_visual + self.visual_to_text:
            raise ValueError("MappedPrompts: both text_to_visual and visual_to_text are empty, so nothing is learned")
        self.text_prompts = _prompts(self.text_to_visual, n_ctx, text_width, init_std)
        self.to_visual = _maps(self.text_to_visual, text_width, visual_width)
        self.visual_prompts = _prompts(self.visual_to_text, n_ctx, visual_width, init_std)
        self.to_text = _maps(self.visual_to_text, visual_width, text_width)

    def text(self, summaries: list[Tensor | None] | None = None) -> dict[int, Tensor]:
        """Prompts of the text tower, the same for every video: {layer: (n, D_t) or (2n, D_t)}"""
        layers = sorted({*self.text_to_visual, *self.visual_to_text})
        return {layer: _join(layer, self.text_prompts, self.visual_prompts, self.to_text) for layer in layers}

    def beside(self, layer: int, x: Tensor) -> tuple[Tensor | None, None]:
        """Prompts of one layer of the visual tower, (n, D_v) or (2n, D_v), None in one of neither list; no summary."""
        return _join(layer, self.visual_prompts, self.text_prompts, self.to_visual), None


@COUPLINGS.register_module()
class VideoToText(Coupling):
    """One token of the text tower per layer, a linear map of the T summaries of the same layer of the visual tower.

    It stands right after the start token, where every later token sees it, so the texts differ from video to video. The
    summaries are those of a visual prompt such as `VideoSummary`.

    Args:
        text_width: D_t.
        visual_width: D_v.
        frames: T.
        text_layers: layers of the text tower.
        visual_layers: layers of the visual tower.
        layers: in which layers; each has a map of its own, T * D_v * D_t weights.
    Raises:
        ValueError: a layer that a tower does not have; no layer at all.
    """

    per_video = True

    def __init__(
        self,
        text_width: int,
        visual_width: int,
        frames: int,
        text_layers: int,
        visual_layers: int,
        *,
        layers: Sequence[int] = tuple(range(10)),
    ) -> None:
        super().__init__()
        self.frames = frames
        self.layers = check_layers("layers", layers, text=text_layers, visual=visual_layers)
        if not self.layers:
            raise ValueError("VideoToText: layers is empty, so nothing is learned")
        self.maps = nn.ModuleDict({str(i): nn.Linear(frames * visual_width, text_width) for i in self.layers})

    def text(self, summaries: list[Tensor | None] | None = None) -> dict[int, Tensor]:
        """Tokens of the text tower: {layer: (M, 1, D_t)}

        Args:
            summaries: of every layer of the visual tower, (M, T, D_v) or None.
        Raises:
            ValueError: a layer without a summary, or one of another number of frames.
        """
        return {layer: self.maps[str(layer)](self._summary(layer, summaries)).unsqueeze(1) for layer in self.layers}

    def _summary(self, layer, summaries):
        """(M, T * D_v)"""
        summary = summaries[layer] if summaries else None
        if summary is None:
            raise ValueError(
                f"VideoToText: layer {layer} of the visual tower has no summary; the model needs a visual prompt that "
                'gives one: visual=dict(type="VideoSummary", summary=True)'
            )
        if summary.shape[1] != self.frames:
            raise ValueError(f"VideoToText was built for {self.frames} frames, but a view has {summary.shape[1]}")
        return summary.flatten(1)


def _prompts(layers, count, width, std):
    """Learned vectors (count, width) by layer."""
    return nn.ParameterDict({str(i): nn.Parameter(torch.randn(count, width) * std) for i in layers})


def _maps(layers, width, other):
    return nn.ModuleDict({str(i): nn.Linear(width, other) for i in layers})


def _join(layer, own, other, maps):
    """A tower's own prompts in a layer, then those of the other one, mapped; None if there are none."""
    key = str(layer)
    found = [own[key]] if key in own else []
    found += [maps[key](other[key])] if key in other else []
    return torch.cat(found) if found else None
