"""Frames for the tower of a CLIP model, by open_clip's transform of PIL images on batches of tensors of any device, and
their features.

N frames, H, W their height and width, S, T those that the tower takes, D width of the joint space
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from ...utils.logging import warn
from .loading import CLIPModel, load_clip

MODES = ("shortest", "longest", "squash")
INTERPOLATIONS = {"bicubic": InterpolationMode.BICUBIC, "bilinear": InterpolationMode.BILINEAR}


class FramePreprocess(nn.Module):
    """Resize with antialiasing, crop or pad to the centre, normalise.

    Grey levels are those of Pillow up to version 12; from 13 on it resizes some upright frames down first, then across.

    Args:
        cfg: open_clip's keys: size (int or (S, T)), mean, std, interpolation ("bicubic", "bilinear"), resize_mode
            ("shortest": the shorter side fits and the rest is cut off; "longest": the longer side fits and the rest is
            filled up; "squash": both fit), fill_color (0 to 255).
    Raises:
        ValueError: another interpolation or mode.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, cfg: dict) -> None:
        super().__init__()
        size = cfg["size"]
        self.size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)
        self.mode, self.fill = cfg.get("resize_mode", "shortest"), cfg.get("fill_color", 0)
        interpolation = cfg.get("interpolation", "bicubic")
        if self.mode not in MODES or interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"resize_mode {self.mode!r} with interpolation {interpolation!r}: choose one of {', '.join(MODES)} and "
                f"one of {', '.join(INTERPOLATIONS)}"
            )
        self.interpolation = INTERPOLATIONS[interpolation]
        for name in ("mean", "std"):
            self.register_buffer(name, 255 * torch.tensor(cfg[name]).view(1, 3, 1, 1), persistent=False)

    def check_resizing(self, resizing: Sequence[str] | None, name: str) -> None:
        """Warn if frames were resized in another way than those that the tower was trained with.

        Args:
            resizing: (interpolation, resize_mode) of the frames, or None where it is not known.
            name: of the tower.
        """
        own = (self.interpolation.value, self.mode)
        if resizing is not None and tuple(resizing) != own:
            keys = [f"interpolation={own[0]!r}", f"resize_mode={own[1]!r}"]
            warn(
                f"frames are resized by {' and '.join(resizing)}, but those that {name} was trained on by "
                f"{' and '.join(own)}; {' '.join(keys)} does as the tower says"
            )

    def forward(self, frames: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) RGB -> float32 (N, 3, S, T)"""
        return self.normalise(self.resize(frames))

    def resize(self, frames: Tensor) -> Tensor:
        """Resize, then cut or fill up: uint8 (N, H, W, 3) RGB -> uint8 (N, 3, S, T)"""
        images = frames.permute(0, 3, 1, 2)
        height, width = self.resized(*images.shape[-2:])
        # across, then down, each rounded to bytes, on every device: in one go CUDA differs by tens of grey levels
        images = self._fit(self._scale(images, images.shape[-2], width), 3)
        return self._fit(self._scale(images, height, images.shape[-1]), 2)

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, S, T) -> float32 (N, 3, S, T)"""
        return images.float().sub_(self.mean).div_(self.std)

    def resized(self, height: int, width: int) -> list[int]:
        """[height, width] of frames of that size before they are cut or filled up."""
        rows, columns = self.size
        if self.mode == "squash":
            return [rows, columns]
        if self.mode == "shortest" and rows == columns:
            # torchvision, whose rule this is, rounds down
            long = int(rows * max(height, width) / min(height, width))
            return [rows, long] if height <= width else [long, rows]
        ratios = (height / rows, width / columns)
        ratio = max(ratios) if self.mode == "longest" else min(ratios)
        return [round(height / ratio), round(width / ratio)]

    def _scale(self, images, height, width):
        return F.resize(images, [height, width], self.interpolation, antialias=True)

    def _fit(self, images, dim):
        """Cut the ends of a dimension off, or fill them up, the odd line at the end."""
        have, wanted = images.shape[dim], self.size[dim - 2]
        if have >= wanted:
            return images.narrow(dim, round((have - wanted) / 2), wanted)
        before, after = (wanted - have) // 2, (wanted - have + 1) // 2
        padding = [before, 0, after, 0] if dim == 3 else [0, before, 0, after]
        return F.pad(images, padding, fill=self.fill)


class FrameEncoder:
    """Images, resized already (`FramePreprocess.resize`), to features.

    Args:
        clip: a `CLIPModel`; its network is moved to the device.
        device: where the network runs.
        autocast: a function that returns the context of mixed precision in which it runs.
        normalised: features are L2-normalised; False: as the network gives them.
    """

    def __init__(
        self,
        clip: CLIPModel,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager],
        *,
        normalised: bool = True,
    ) -> None:
        self.network: Any = clip.module.to(device).eval()
        self.device, self.autocast = device, autocast
        self.prepare, self.normalised = FramePreprocess(clip.preprocess).to(device), normalised

    @torch.no_grad()
    def __call__(self, images: Tensor) -> np.ndarray:
        """uint8 (N, 3, S, T) -> float32 (N, D) array"""
        inputs = self.prepare.normalise(images.to(self.device, non_blocking=True))
        with self.autocast():
            features = self.network.encode_image(inputs).float()
        return (normalize(features, dim=-1) if self.normalised else features).cpu().numpy()


def load_frame_encoder(
    device: torch.device, autocast: Callable[[], AbstractContextManager], *, normalised: bool = True, **clip: Any
) -> tuple[CLIPModel, FrameEncoder]:
    """The CLIP model that `load_clip(**clip)` loads, and the encoder of frames by it; arguments: see `FrameEncoder`."""
    loaded = load_clip(**clip)
    return loaded, FrameEncoder(loaded, device, autocast, normalised=normalised)
