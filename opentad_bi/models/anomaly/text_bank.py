"""A feature for each class, from several texts."""

import torch
from torch import nn
from torch.nn import functional as F

from ..prompts.fixed_texts import class_texts

# C classes, R texts of all classes, E width of the joint space


class TextBank(nn.Module):
    """The mean direction of the texts of each class.

    Args:
        classes: names by label.
        template: text of a class without texts of its own, its name in the place of {}.
        texts: {class: [text, ...]}, or the path of a JSON file that holds that, or None.
    Raises:
        ValueError, KeyError, FileNotFoundError: naming the class or text that is wrong.
    """

    def __init__(self, classes, template="{}", texts=None):
        super().__init__()
        groups = class_texts(classes, template, texts)
        self.texts = [text for group in groups for text in group]
        owner = torch.tensor([label for label, group in enumerate(groups) for _ in group])
        share = F.one_hot(owner).T.float() / owner.bincount()[:, None]
        self.register_buffer("share", share, persistent=False)  # (C, R), of rows that sum to 1
        self._kept = None

    def forward(self, encoder):
        """Features of length 1 by an encoder that has `encode(texts)`: -> (C, E) float32"""
        features = encoder.encode(self.texts).float()
        with torch.autocast(features.device.type, enabled=False):
            return F.normalize(self.share @ F.normalize(features, dim=1), dim=1)

    @torch.no_grad()
    def kept(self, encoder):
        """`forward` without a gradient, made anew only after the parameters of the encoder have changed."""
        key = [self.share.device, *((p.data_ptr(), p._version) for p in encoder.parameters())]
        if self._kept is None or self._kept[0] != key:
            with torch.autocast(self.share.device.type, enabled=False):  # the same, whoever asks first
                self._kept = key, self(encoder)
        return self._kept[1]
