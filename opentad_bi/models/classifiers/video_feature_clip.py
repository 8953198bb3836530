"""Classify features of an image tower by their similarity to learned prompts of the text tower it was trained with."""

import torch
import torch.nn.functional as F
from torch import nn

from ...ops.scores import ClassScores
from ...registry import MODELS, POOLINGS, PROMPTS
from ...utils.files import write_json
from ...utils.logging import LOGGER
from ..clip.frozen import leave_out_of_state
from ..clip.loading import load_clip
from ..clip.text import TextEncoder
from ..clip.tokens import Tokens
from .guards import check_first_loss, off_diagonal

# B batch, T rows of a unit, K classes, E width of the joint space


@MODELS.register_module()
class VideoFeatureCLIP(nn.Module):
    """Cosine similarity of pooled features and text features, times the logit scale (CLIP, Radford et al., ICML 2021).

    The tower is frozen and not in the state dict, which holds the learned vectors, the logit scale and a digest of the
    weights of the tower they belong to.

    Args:
        classes: names by label.
        clip: arguments of `load_clip`: dict(model, pretrained, quick_gelu).
        prompt: config of the prompt learner.
        text_pooling: "eot" or "mean", see `TextEncoder`.
        temporal: config of the pooling over the rows of a unit.
        label_smoothing: of the cross-entropy.
    """

    def __init__(self, classes, clip, prompt, *, text_pooling="eot", temporal=None, label_smoothing=0.0):
        super().__init__()
        self.classes = [str(name) for name in classes]
        loaded = load_clip(**clip)
        self.clip_name, self.comes_trained, self.quick_gelu = loaded.name, loaded.trained, loaded.quick_gelu
        self.text_encoder = TextEncoder(loaded.module, text_pooling).requires_grad_(False).eval()
        self.tokens = Tokens(loaded.tokenizer)
        self.prompt_learner = PROMPTS.build(prompt, classes=self.classes, tower=self.text_encoder, tokens=self.tokens)
        self.pooling = POOLINGS.build(temporal or {"type": "MeanPooling"}, width=loaded.embed_dim)
        scale = loaded.module.logit_scale.detach().clone().float()
        self.logit_scale = nn.Parameter(scale, requires_grad=False)  # a config may name it as trainable
        self.register_buffer("tower_digest", torch.tensor(list(bytes.fromhex(loaded.digest)), dtype=torch.uint8))
        self.label_smoothing = label_smoothing
        leave_out_of_state(self, "text_encoder")
        self._kept = self._checked = None

    def forward(self, batch):
        """Losses of a batch: {"cls_loss": 0-d}.

        Args:
            batch: `inputs` (B, T, E) or (B, E) float, `labels` (B,) int64, optional `masks` (B, T) bool and `weights`
                (B,) float, by which the losses of the samples are multiplied.
        """
        pooled, text = self._pooled(batch), self.text_features()
        logits = self._logits(pooled, text)
        losses = F.cross_entropy(logits, batch["labels"], reduction="none", label_smoothing=self.label_smoothing)
        loss = (losses * batch["weights"] if "weights" in batch else losses).mean()
        if not self._checked and loss.requires_grad:
            self._checked = True
            LOGGER.info("largest cosine of two classes' text features: %.4f", float(off_diagonal(text.detach()).max()))
            check_first_loss(loss, [p for p in self.parameters() if p.requires_grad], text, pooled)
        return {"cls_loss": loss}

    @torch.no_grad()
    def predict(self, batch):
        """One `ClassScores` per sample."""
        key = [(p.data_ptr(), p._version) for p in self.prompt_learner.parameters()]
        if self._kept is None or self._kept[0] != key:  # prompts that did not change are encoded once
            self._kept = key, self.text_features()
        probabilities = self._logits(self._pooled(batch), self._kept[1]).softmax(1).cpu().numpy()
        labels = batch["labels"].tolist() if "labels" in batch else [-1] * len(probabilities)
        return [ClassScores(*row) for row in zip(batch["meta"], labels, probabilities, strict=True)]

    def branches(self):
        """What steps with its own optimizer."""
        return {"model": self}

    def text_features(self):
        """Features of the prompts of all classes, not normalised: (K, E)"""
        return self.text_encoder(*self.prompt_learner(self.text_encoder.token_embedding))

    @property
    def open_vocabulary(self):
        """May the weights be used for other classes?  A context that all classes share may."""
        return not getattr(self.prompt_learner, "class_specific", True)

    def check_dataset(self, dataset):
        """Raise a ValueError if the rows of `dataset` are not features of the image tower of this model.

        Args:
            dataset: has `feature_dim`, and may have `source`, the record of whoever made the features.
        """
        width, own = getattr(dataset, "feature_dim", None), self.text_encoder.embed_dim
        if width is not None and width != own:
            raise ValueError(
                f"the features have {width} numbers a row, but {self.clip_name} compares {own}; take the model that "
                "made them (clip.model), or make them anew with tools/extract_clip_features.py"
            )
        source = getattr(dataset, "source", None) or {}
        made, digest = source.get("weights_sha256"), bytes(self.tower_digest.tolist()).hex()
        if made is None:
            LOGGER.info("features: nothing tells which model made them; it has to be %s", self.clip_name)
        elif made != digest:
            raise ValueError(
                f"the features were made by {source.get('model')} with the weights {source.get('pretrained')} "
                f"({made[:12]}), but the prompts are learned with {self.clip_name} ({digest[:12]}); both have to be "
                "one model"
            )
        elif source.get("quick_gelu", self.quick_gelu) != self.quick_gelu:
            raise ValueError(
                f"the features were made with quick_gelu={source['quick_gelu']}, but {self.clip_name} runs with "
                f"quick_gelu={self.quick_gelu}; give clip.quick_gelu={source['quick_gelu']}"
            )

    def export(self, folder, stage):
        """Write `<stage>_prompts.json`, what the prompt learner's `describe` gives, if it has one."""
        describe = getattr(self.prompt_learner, "describe", None)
        if describe is not None:
            told = describe(self.text_encoder.token_embedding, self.tokens)
            write_json(folder / f"{stage}_prompts.json", told)

    def adapt_state_dict(self, state):
        """Accept CoOp's forms; ValueError for prompts that were learned with another tower."""
        state, own = dict(state), self.tower_digest.cpu()
        prefix = "prompt_learner."
        if isinstance(prompts := state.get("prompt_learner_state_dict"), dict):  # what the command of its own leaves
            rest = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
            state = {prefix + name: tensor for name, tensor in prompts.items()} | rest
        if not any(name.startswith(prefix) for name in state) and "ctx" in state:
            state = {prefix + name: tensor for name, tensor in state.items()}
        inner = {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
        rest = {name: t for name, t in state.items() if not name.startswith(prefix)}
        adapt = getattr(self.prompt_learner, "adapt_state_dict", dict)
        state = rest | {prefix + name: tensor for name, tensor in adapt(inner).items()}
        if "tower_digest" not in state:
            LOGGER.warning("the weights do not tell the tower they belong to; %s is assumed", self.clip_name)
        elif not torch.equal(state["tower_digest"].cpu(), own):
            raise ValueError(
                f"the prompts were learned with another text tower than {self.clip_name} (its weights differ); give "
                "the model and the weights that they were learned with (clip.model, clip.pretrained)"
            )
        return {"logit_scale": self.logit_scale.detach(), **state, "tower_digest": own}

    def _pooled(self, batch):
        inputs = batch["inputs"]
        return inputs if inputs.dim() == 2 else self.pooling(inputs, batch.get("masks"))

    def _logits(self, pooled, text):
        """(B, E), (K, E) -> (B, K)"""
        if pooled.shape[-1] != text.shape[-1]:
            raise ValueError(
                f"features of {pooled.shape[-1]} numbers cannot be compared with text features of {text.shape[-1]}: "
                f"they are not those of {self.clip_name}"
            )
        with torch.autocast(pooled.device.type, enabled=False):  # at a scale of 100, bf16 would round logits to halves
            cosines = F.normalize(pooled.float(), dim=-1) @ F.normalize(text.float(), dim=-1).T
            return self.logit_scale.exp() * cosines
