"""Prepared frames to features of an image tower."""

import torch
from torch.nn import functional as F

from .preprocess import FramePreprocess

# N images, S, T their height and width, D width of the joint space


class FrameEncoder:
    """Images, resized already (`FramePreprocess.resize`), to L2-normalised features.

    Args:
        clip: a `CLIPModel`; its network is moved to the device.
        device: where the network runs.
        autocast: a function that returns the context of mixed precision in which it runs.
    """

    def __init__(self, clip, device, autocast):
        self.network, self.device, self.autocast = clip.module.to(device).eval(), device, autocast
        self.prepare = FramePreprocess(clip.preprocess).to(device)

    @torch.no_grad()
    def __call__(self, images):
        """uint8 (N, 3, S, T) -> float32 (N, D) array"""
        inputs = self.prepare.normalise(images.to(self.device, non_blocking=True))
        with self.autocast():
            features = self.network.encode_image(inputs)
        return F.normalize(features.float(), dim=-1).cpu().numpy()
