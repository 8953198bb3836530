"""What classifiers by the texts of a frozen CLIP model share: the text tower and the prompts in it, checkpoints of what
is learned alone, and a warning at the first batch if nothing can be learned.

B batch, M videos, K classes, R texts of all classes, E width of the joint space
"""

import math
import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...contracts import Dataset, Model
from ...ops.records import ClassScores
from ...registry import POOLINGS
from ...utils.files import write_json
from ...utils.logging import LOGGER
from ...utils.validation import check_finite, input_parts
from ..clip.loading import CLIPModel
from ..clip.towers import TextEncoder, Tokens
from ..prompts.class_prompts import TextPrompt, build_text_prompt
from ..prompts.fixed_texts import FixedTexts

TOWERS = ("text_encoder", "image_encoder")
_SCALE = re.compile(r"weights|(fixed|learned):(.+)|learned")
ALIKE = 1 - 1e-6  # cosine of features that are the same but for rounding
NEAR = 1e-4  # from ln C
FLAT = 1e-4  # norm of a gradient that is rounding


class CLIPClassifier(Model, nn.Module):
    """The frozen text tower, the prompts in it and the pooling of features; state, checks and exports.

    The towers are not in the state dict, which holds what is learned and a digest of the weights it belongs to.

    Args:
        classes: names by label.
        clip: a `CLIPModel`.
        prompt: config of the prompts.
        text_pooling: "eot" or "mean", see `TextEncoder`.
        temporal: config of the pooling over time, or None for the mean.
        frames: most steps of a sequence, for poolings that need to know.
        scale: factor of the cosines, see `logit_scale`.
    """

    classes: list[str]
    tower_digest: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        clip: CLIPModel,
        prompt: dict,
        *,
        text_pooling: str = "eot",
        temporal: dict | None = None,
        frames: int | None = None,
        scale: str = "weights",
    ) -> None:
        super().__init__()
        self.classes = [str(name) for name in classes]
        self.clip_name, self.comes_trained, self.quick_gelu = clip.name, clip.trained, clip.quick_gelu
        self.text_encoder = TextEncoder(clip.module, text_pooling).requires_grad_(False).eval()
        self.tokens = Tokens(clip.tokenizer)
        self.prompt_learner: TextPrompt = build_text_prompt(
            prompt, classes=self.classes, tower=self.text_encoder, tokens=self.tokens
        )
        self.open_vocabulary = not self.prompt_learner.class_specific
        sizes = {"width": clip.embed_dim} | ({} if frames is None else {"frames": frames})
        self.pooling = POOLINGS.build(temporal or {"type": "MeanPooling"}, **sizes)
        self.logit_scale = logit_scale(scale, clip.module)
        self.register_buffer("tower_digest", torch.tensor(list(bytes.fromhex(clip.digest)), dtype=torch.uint8))
        for tower in TOWERS:
            leave_out_of_state(self, tower)
        self._kept: tuple[list, Tensor] | None = None
        self._checked = False

    def train(self, mode: bool = True) -> "CLIPClassifier":
        """As of any module, but the towers stay in eval mode."""
        super().train(mode)
        for name, module in self.named_children():
            if name in TOWERS:
                module.eval()
        return self

    def branches(self) -> dict[str, nn.Module]:
        """What steps with its own optimizer."""
        return {"model": self}

    def check_dataset(self, dataset: Any) -> None:
        """Raise a ValueError if the rows of `dataset` are not features of the image tower of this model.

        Args:
            dataset: its `feature_dim`, and `source`, the record of whoever made the features.
        """
        dataset, own = Dataset.of(dataset), self.text_encoder.embed_dim
        width = dataset.feature_dim
        if width is not None and width != own:
            raise ValueError(
                f"the features have {width} numbers a row, but {self.clip_name} compares {own}; take the model that "
                "made them (clip.model), or make them anew with opentad-bi extract-clip-features"
            )
        source = dataset.source or {}
        made, digest = source.get("weights_sha256"), bytes(self.tower_digest.tolist()).hex()
        if made is None:
            LOGGER.info("features: their model is unknown; it has to be %s", self.clip_name)
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

    def export(self, folder: Path, stage: str) -> None:
        """Write `<stage>_prompts.json`, what the prompt learner's `describe` gives, if that is anything."""
        description = self.prompt_learner.describe(self.text_encoder.token_embedding, self.tokens)
        if description is not None:
            write_json(folder / f"{stage}_prompts.json", description)

    def adapt_state_dict(self, state: dict[str, Any]) -> dict[str, Tensor]:
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
        inner = self.prompt_learner.adapt_state_dict(inner)
        state = rest | {prefix + name: tensor for name, tensor in inner.items()}
        if "tower_digest" not in state:
            LOGGER.warning("the weights do not name the tower they belong to; %s is assumed", self.clip_name)
        elif not torch.equal(state["tower_digest"].cpu(), own):
            raise ValueError(
                f"the prompts were learned with another text tower than {self.clip_name} (its weights differ); give "
                "the model and the weights that they were learned with (clip.model, clip.pretrained)"
            )
        return {**self._scale_of(state), **state, "tower_digest": own}

    def _scale_of(self, state):
        """{"logit_scale": ...} if `state` has none, as files of CoOp, which learned at the scale of the weights."""
        if "logit_scale" in state:
            return {}
        LOGGER.info("the weights do not hold a logit scale; it stays at %.4g", float(self.logit_scale.detach().exp()))
        return {"logit_scale": self.logit_scale.detach()}

    def partial_state(self, state: dict[str, Tensor], classes: Sequence[str] | None) -> dict[str, Tensor]:
        """What of the `state` of another model is of use here, under the names of this one, see `adapt_state_dict`.

        Prompts that belong to other classes, or were learned at other places of the text, are left out.

        Args:
            state: {name: tensor}.
            classes: names by label that it belongs to, or None where they are not known.
        Raises:
            ValueError: it belongs to another tower.
        """
        rest = self.adapt_state_dict({n: t for n, t in state.items() if not n.startswith("prompt_learner.")})
        if not self.open_vocabulary and classes is not None and classes != self.classes:
            return rest
        try:
            return self.adapt_state_dict(state)
        except ValueError as error:
            LOGGER.warning("the prompts of the text are left out: %s", error)
            return rest

    @abstractmethod
    def text_features(self) -> Tensor:
        """Features of the texts of all classes, not normalised: (R, E); R = K where each class has one"""

    @torch.no_grad()
    def kept_texts(self) -> Tensor:
        """`text_features()` without a gradient, made anew only after the parameters behind it have changed."""
        device = self.tower_digest.device
        key = [device, *((p.data_ptr(), p._version) for p in self.text_parameters())]
        if self._kept is None or self._kept[0] != key:
            with torch.autocast(device.type, enabled=False):  # the same, whoever asks first
                self._kept = key, self.text_features()
        return self._kept[1]

    def text_parameters(self) -> Iterable[nn.Parameter]:
        """Parameters that the text features hang on."""
        return self.prompt_learner.parameters()

    def of_classes(self, logits: Tensor) -> Tensor:
        """Scores of classes by those of their texts, where a class has several: (..., R) -> (..., K)"""
        return self.prompt_learner.reduce(logits)

    def look_at_first(self, loss: Tensor, text: Tensor, pooled: Tensor) -> None:
        """At the first loss that has a gradient, warn if the model cannot learn.

        Args:
            loss: 0-d.
            text: (R, E).
            pooled: (B, E).
        """
        if self._checked or not loss.requires_grad:
            return
        self._checked = True
        if len(text) > 1:
            LOGGER.info("largest cosine of two texts' features: %.4f", float(off_diagonal(text.detach()).max()))
        check_first_loss(loss, [p for p in self.parameters() if p.requires_grad], text, pooled)

    def _scores(self, batch, logits):
        """One `ClassScores` per sample; ValueError for inputs or logits (B, K) with NaN or infinite numbers."""
        check_finite([*input_parts(batch), ("logits", logits, None)], batch["meta"], self)
        probabilities = logits.softmax(1).cpu().numpy()
        labels = batch["labels"].tolist() if "labels" in batch else [-1] * len(probabilities)
        return [ClassScores(*row) for row in zip(batch["meta"], labels, probabilities, strict=True)]

    def _check_width(self, pooled):
        """ValueError unless the features are as wide as the joint space."""
        if pooled.shape[-1] != self.text_encoder.embed_dim:
            raise ValueError(
                f"features of {pooled.shape[-1]} numbers cannot be compared with text features of "
                f"{self.text_encoder.embed_dim}: they are not those of {self.clip_name}"
            )


class TextRegulariser(nn.Module):
    """Keeps learned prompts near texts that a person wrote (after KgCoOp, Yao et al., CVPR 2023).

    The loss is weight times (1 - mean cosine of the learned text features and those of a template).

    Args:
        classes, tower, tokens: as `FixedTexts` has them.
        weight: of the loss.
        template: text of a class, its name in the place of {}.
    """

    features: Tensor

    def __init__(
        self, classes: Sequence[str], tower: TextEncoder, tokens: Tokens, *, weight: float, template: str
    ) -> None:
        super().__init__()
        self.weight = weight
        texts = FixedTexts(classes, tower, tokens, template=template)
        with torch.no_grad():
            features = F.normalize(tower(*texts(tower.token_embedding)).float(), dim=1)
        self.register_buffer("features", features, persistent=False)  # (K, E)

    def forward(self, text: Tensor) -> Tensor:
        """Loss, 0-d, of text features (K, E) or (M, K, E)."""
        cosines = (F.normalize(text.float(), dim=-1) * self.features).sum(-1)
        return self.weight * (1 - cosines.mean())


def logit_scale(spec: str, module: nn.Module) -> nn.Parameter:
    """The factor of the cosines as CLIP keeps it, its logarithm: a 0-d float32 parameter.

    Args:
        spec: "weights": that of the CLIP model, frozen; "fixed:X": the factor X, frozen; "learned" and "learned:X": the
            same starts, but it trains.
        module: open_clip's model.
    Raises:
        ValueError: another text, or X is not a finite number above 0.
    """
    found = _SCALE.fullmatch(str(spec))
    if not found:
        raise ValueError(f"logit_scale {spec!r} is none of 'weights', 'learned', 'fixed:X', 'learned:X' (X a factor)")
    try:
        start = module.logit_scale if found[2] is None else math.log(float(found[2]))
        start = torch.as_tensor(start).detach().float().reshape(()).clone()
    except (ValueError, OverflowError):
        start = torch.tensor(math.nan)
    if not torch.isfinite(start):
        raise ValueError(f"logit_scale {spec!r}: the factor of the cosines must be a finite number above 0")
    return nn.Parameter(start, requires_grad=str(spec).startswith("learned"))


def leave_out_of_state(module: nn.Module, child: str) -> None:
    """Keep the sub-module `child` of `module` out of its state dict, and a strict load from missing it.

    A checkpoint of a few learned vectors is a few kilobytes then, instead of the size of the tower.
    """
    inner = f"{child}."

    def saved(_, state, prefix, __):
        for name in [name for name in state if name.startswith(prefix + inner)]:
            del state[name]

    def loaded(_, keys):
        keys.missing_keys[:] = [name for name in keys.missing_keys if f".{inner}" not in f".{name}"]

    module.register_state_dict_post_hook(saved)
    module.register_load_state_dict_post_hook(loaded)


def off_diagonal(features: Tensor) -> Tensor:
    """Cosines of all pairs of different classes: (K, E) -> (K * (K - 1),)"""
    features = F.normalize(features.float(), dim=1)
    count = len(features)
    return (features @ features.T)[~torch.eye(count, dtype=torch.bool, device=features.device)]


def check_first_loss(
    loss: Tensor, parameters: Sequence[nn.Parameter], text_features: Tensor, inputs: Tensor
) -> str | None:
    """Warn, naming the cause, if the loss is at chance level and no gradient leads away from it.

    Args:
        loss: 0-d, of the first batch.
        parameters: what is to be trained.
        text_features: (K, E).
        inputs: (B, E) pooled features.
    Returns:
        the warning, or None.
    """
    chance = math.log(len(text_features))
    if not abs(float(loss.detach()) - chance) <= NEAR or not parameters:  # NaN is not near anything
        return None
    grads = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    norm = math.sqrt(sum(float(grad.float().square().sum()) for grad in grads if grad is not None))
    if norm > FLAT:
        return None
    alike = float(off_diagonal(text_features.detach()).min()) if len(text_features) > 1 else 1.0
    if alike > ALIKE:
        cause = "the text features of all classes are the same: check the prompts (opentad-bi debug-prompts)"
    elif float(inputs.detach().abs().max()) == 0:
        cause = "the features of the batch are all zero: check the feature files"
    else:
        cause = "nothing that is trained distinguishes the classes: check `trainable` and the logit scale"
    message = f"the loss starts at ln({len(text_features)}) = {chance:.6f} with a gradient of {norm:.1e}; {cause}"
    LOGGER.warning(message)
    return message
