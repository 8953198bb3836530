"""Classify features of an image tower by their similarity to learned prompts of the text tower it was trained with.

B batch, T rows of a snippet, K classes, R texts of all classes, E width of the joint space
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...ops.records import ClassScores
from ...registry import MODELS
from ..clip.loading import load_clip
from .clip_classifier import CLIPClassifier


@MODELS.register_module()
class VideoFeatureCLIP(CLIPClassifier):
    """Cosine similarity of pooled features and text features, times the logit scale (CLIP, Radford et al., ICML 2021).

    The tower is frozen and not in the state dict, which holds the learned vectors, the logit scale and a digest of the
    weights of the tower they belong to.

    Args:
        classes: names by label.
        clip: arguments of `load_clip`: dict(model, pretrained, quick_gelu).
        prompt: config of the prompt learner.
        text_pooling: "eot" or "mean", see `TextEncoder`.
        temporal: config of the pooling over the rows of a snippet.
        label_smoothing: of the cross-entropy.
        logit_scale: factor of the cosines: "weights", "learned", "fixed:X", "learned:X"; one that is frozen trains all
            the same where a config names it as trainable.
    Raises:
        ValueError: prompts that follow the video, an unknown logit scale.
    """

    def __init__(
        self,
        classes: Sequence[str],
        clip: dict,
        prompt: dict,
        *,
        text_pooling: str = "eot",
        temporal: dict | None = None,
        label_smoothing: float = 0.0,
        logit_scale: str = "weights",
    ) -> None:
        loaded = load_clip(**clip)
        super().__init__(classes, loaded, prompt, text_pooling=text_pooling, temporal=temporal, scale=logit_scale)
        if self.prompt_learner.conditional:
            raise ValueError(f"{type(self.prompt_learner).__name__} follows the video; it needs the model VideoCLIP")
        self.label_smoothing = label_smoothing

    def forward(self, batch: dict) -> dict[str, Tensor]:
        """Losses of a batch: {"cls_loss": 0-d}.

        Args:
            batch: `inputs` (B, T, E) or (B, E) float, `labels` (B,) int64, optional `masks` (B, T) bool and `weights`
                (B,) float, by which the losses of the samples are multiplied.
        """
        pooled, text = self._pooled(batch), self.text_features()
        logits = self._logits(pooled, text)
        losses = F.cross_entropy(logits, batch["labels"], reduction="none", label_smoothing=self.label_smoothing)
        loss = (losses * batch["weights"] if "weights" in batch else losses).mean()
        self.look_at_first(loss, text, pooled)
        return {"cls_loss": loss}

    @torch.no_grad()
    def predict(self, batch: dict) -> list[ClassScores]:
        """One `ClassScores` per sample; ValueError for inputs or logits with NaN or infinite numbers."""
        return self._scores(batch, self._logits(self._pooled(batch), self.kept_texts()))

    def text_features(self) -> Tensor:
        """Features of the texts of all classes, not normalised: (R, E); R = K where each class has one"""
        return self.text_encoder(*self.prompt_learner(self.text_encoder.token_embedding))

    def _pooled(self, batch):
        inputs = batch["inputs"]
        return inputs if inputs.dim() == 2 else self.pooling(inputs, batch.get("masks"))

    def _logits(self, pooled, text):
        """(B, E), (R, E) -> (B, K)"""
        self._check_width(pooled)
        with torch.autocast(pooled.device.type, enabled=False):  # at a scale of 100, bf16 would round logits to halves
            scaled = self.logit_scale.exp() * F.normalize(pooled.float(), dim=-1)  # in open_clip's order
            return self.of_classes(scaled @ F.normalize(text.float(), dim=-1).T)
