"""What the visual tower sums up of a video, told to the text tower layer by layer."""

from torch import nn

from ...registry import COUPLINGS
from .layer_lists import check_layers
from .visual_prompt import VisualPrompt

# M views, T frames of a view, D_t, D_v widths of the text and of the visual tower


@COUPLINGS.register_module()
class VideoToText(VisualPrompt):
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

    def __init__(self, text_width, visual_width, frames, text_layers, visual_layers, *, layers=tuple(range(10))):
        super().__init__()
        self.frames = frames
        self.layers = check_layers("layers", layers, text=text_layers, visual=visual_layers)
        if not self.layers:
            raise ValueError("VideoToText: layers is empty, so nothing is learned")
        self.maps = nn.ModuleDict({str(i): nn.Linear(frames * visual_width, text_width) for i in self.layers})

    def text(self, summaries):
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
