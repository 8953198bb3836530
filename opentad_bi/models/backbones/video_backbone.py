"""From raw frames of a window to a feature sequence on the detector's grid.

B windows, T frames of a window, F frames of a clip, K clips of all windows, H W frame size, D channels, L steps
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...contracts import Network
from ...registry import BACKBONES


@BACKBONES.register_module()
class VideoBackbone(Network, nn.Module):
    """Normalise frames, run a clip network, average over space, join the clips and fit the sequence to the grid.

    Args:
        backbone: config of the clip network, (K, 3, F, H, W) -> (K, D, l, h, w) or (K, D, l).
        mean, std: of the three channels, on the 0-255 scale.
        clip_frames: frames F of one clip; None: the whole window is one clip.
        output_length: grid positions L, reached by linear interpolation; None: as many as the network gives.
        windows_per_pass: windows that go through the network at once where no gradient is needed, which bounds
            the memory; None: all.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        backbone: dict,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        clip_frames: int | None = 16,
        output_length: int | None = None,
        windows_per_pass: int | None = None,
    ) -> None:
        super().__init__()
        # two levels of names, so that weights of existing detectors fit as they are
        self.model = nn.ModuleDict({"backbone": BACKBONES.build(backbone)})
        self.clip_frames, self.output_length, self.windows_per_pass = clip_frames, output_length, windows_per_pass
        self.register_buffer("mean", torch.tensor(mean).float().view(3, 1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).float().view(3, 1, 1, 1), persistent=False)

    def forward(self, inputs: Tensor, masks: Tensor | None = None) -> Tensor:
        """(B, 3, T, H, W) or (B, 1, 3, T, H, W) frames, uint8 -> (B, D, L) float32.

        `masks` is taken for the sake of a common call and not used: padding frames repeat real ones.
        """
        if inputs.dim() == 6:
            inputs = inputs.squeeze(1)
        if inputs.dim() != 5 or inputs.shape[1] != 3:
            raise ValueError(f"frames of shape {tuple(inputs.shape)}; expected (B, 3, T, H, W)")
        if self.windows_per_pass and not torch.is_grad_enabled():
            x = torch.cat([self._sequence(part) for part in inputs.split(self.windows_per_pass)])
        else:
            x = self._sequence(inputs)
        if self.output_length is not None and x.shape[-1] != self.output_length:
            x = F.interpolate(x, size=self.output_length, mode="linear", align_corners=False)
        return x

    def _sequence(self, frames):
        """(B, 3, T, H, W) -> (B, D, l) float32, l steps of all clips of a window one after another."""
        windows = len(frames)
        x = self.model["backbone"](self._clips(frames))
        if x.dim() == 5:
            x = x.mean((3, 4))
        return x.float().unflatten(0, (windows, -1)).transpose(1, 2).flatten(2)

    def _clips(self, frames):
        """Cut windows into clips, then normalise.  (B, 3, T, H, W) -> (K, 3, F, H, W) float32"""
        length = frames.shape[2]
        size = self.clip_frames or length
        if length % size:
            raise ValueError(f"windows of {length} frames cannot be cut into clips of {size}")
        clips = frames.unflatten(2, (-1, size)).transpose(1, 2).flatten(0, 1)  # still uint8: the cheap copy
        return torch.sub(clips, self.mean).div_(self.std)

    def adapt_state_dict(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring weights of the clip network, or of whole detectors, to this module's keys.

        Entries the clip network does not know keep their name, so that a strict load reports them.
        """
        inner = self.model["backbone"]
        own = inner.state_dict()
        state = Network.of(inner).adapt_state_dict(state)
        return {f"model.backbone.{key}" if key in own else key: value for key, value in state.items()}
