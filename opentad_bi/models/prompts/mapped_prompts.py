"""Prompts of either tower, mapped to the other one layer by layer (after ViLT-CLIP, Wang et al., AAAI 2024)."""

import torch
from torch import nn

from ...registry import COUPLINGS
from ...utils.validation import check_count
from .layer_lists import check_layers
from .visual_prompt import VisualPrompt

# M views, T frames, L tokens of a frame, P tokens beside them, n prompts of a layer
# D_t, D_v widths of the text and of the visual tower


@COUPLINGS.register_module()
class MappedPrompts(VisualPrompt):
    """In some layers text prompts are learned and a linear map makes visual ones of them, in others the reverse.

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

    per_video = False
    whole_clips = False  # every frame is prompted alike

    def __init__(
        self,
        text_width,
        visual_width,
        text_layers,
        visual_layers,
        *,
        n_ctx=4,
        text_to_visual=(0, 1, 2, 3, 4),
        visual_to_text=(5, 6, 7, 8, 9),
        init_std=0.02,
    ):
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

    def text(self, summaries=None):
        """Prompts of the text tower, the same for every video: {layer: (n, D_t) or (2n, D_t)}

        Args:
            summaries: of the visual tower; not looked at.
        """
        layers = sorted({*self.text_to_visual, *self.visual_to_text})
        return {layer: _join(layer, self.text_prompts, self.visual_prompts, self.to_text) for layer in layers}

    def beside(self, layer, x):
        """Prompts of one layer of the visual tower.

        Args:
            layer: index.
            x: (M, T, L, D_v), not looked at.
        Returns:
            tokens (n, D_v) or (2n, D_v), or None in a layer of neither list; no summary: None
        """
        return _join(layer, self.visual_prompts, self.text_prompts, self.to_visual), None


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
