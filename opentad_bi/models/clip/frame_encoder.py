"""Prepared frames to features of an image tower."""

import torch
from torch.nn.functional import normalize

from .preprocess import FramePreprocess

# N images, S, T their height and width, D width of the joint space


class FrameEncoder:
    """Images, resized already (`FramePreprocess.resize`), to features.

    Args:
        clip: a `CLIPModel`; its network is moved to the device.
        device: where the network runs.
        autocast: a function that returns the context of mixed precision in which it runs.
        normalised: features are L2-normalised; False: as the network gives them.
    """

    def __init__(self, clip, device, autocast, *, normalised=True):
        self.network, self.device, self.autocast = clip.module.to(device).eval(), device, autocast
        self.prepare, self.normalised = FramePreprocess(clip.preprocess).to(device), normalised

    @torch.no_grad()
    def __call__(self, images):
        """uint8 (N, 3, S, T) -> float32 (N, D) array"""
        inputs = self.prepare.normalise(images.to(self.device, non_blocking=True))
        with self.autocast():
            features = self.network.encode_image(inputs).float()
        return (normalize(features, dim=-1) if self.normalised else features).cpu().numpy()
