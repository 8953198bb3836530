"""Classify videos by the similarity of their frames to texts, with prompts in one or both towers of a CLIP model.

B batch, V views, T frames of a view, S side in pixels, M = B * V, K classes, R texts
D width of the text tower, E width of the joint space
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from ...contracts import LOGGED, Dataset
from ...ops.records import ClassScores
from ...registry import COUPLINGS, MODELS, VISUAL_PROMPTS
from ...utils.validation import check_choice, check_count
from ..clip.loading import load_clip
from ..clip.preprocess import FramePreprocess
from ..clip.towers import LARGEST_SCALE, ImageEncoder
from .clip_classifier import CLIPClassifier, TextRegulariser

LOSSES = ("cross_entropy", "kl")


@MODELS.register_module()
class VideoCLIP(CLIPClassifier):
    """Cosine similarity of pooled frames and texts, times a scale, as the mean over the views of a video.

    Both towers are frozen and not in the state dict, which holds what is learned and a digest of the towers' weights.
    Where nothing is learned in the visual tower, it runs without a graph.

    Args:
        classes: names by label.
        clip: arguments of `load_clip`: dict(model, pretrained, quick_gelu).
        prompt: config of the texts.
        visual: config of what is learned in the visual tower, or None.
        coupling: config of what ties both towers, or None.
        temporal: config of the pooling over the frames of a view; None is the mean.
        frames: T.
        text_pooling: "eot" or "mean", see `TextEncoder`.
        normalise_frames: give the features of all frames the same length before they are pooled.
        logit_scale: factor of the cosines: "weights": that of the CLIP model, frozen; "fixed:X": X, frozen; "learned"
            and "learned:X": the same starts, trained and kept at 100 at most (at its start, where that is larger). A
            checkpoint brings its own. SigLIP's bias adds the same to every class, so it changes no probability.
        loss: "cross_entropy" or "kl", the divergence from the labels; both take soft labels.
        regularisation: dict(weight, template) of a `TextRegulariser`, or None.
        text_chunk: how many texts are encoded at a time; what lies between is computed again for the gradient, so that
            memory is bounded where texts differ from video to video. None: all at once.
        checkpoint: forget what lies inside the blocks of the towers and compute it again for the gradient.
    Raises:
        ValueError: an unknown loss or logit scale, a chunk below 1, a tower that takes no visual prompts.
    """

    def __init__(
        self,
        classes: Sequence[str],
        clip: dict,
        prompt: dict,
        *,
        visual: dict | None = None,
        coupling: dict | None = None,
        temporal: dict | None = None,
        frames: int = 8,
        text_pooling: str = "eot",
        normalise_frames: bool = False,
        logit_scale: str = "weights",
        loss: str = "cross_entropy",
        regularisation: dict | None = None,
        text_chunk: int | None = None,
        checkpoint: bool = False,
    ) -> None:
        check_choice("loss", loss, LOSSES)
        check_count("text_chunk", text_chunk, optional=True)
        loaded = load_clip(**clip)
        super().__init__(
            classes, loaded, prompt, text_pooling=text_pooling, temporal=temporal, frames=frames, scale=logit_scale
        )
        self.image_encoder = ImageEncoder(loaded.module).requires_grad_(False).eval()
        self.prepare = FramePreprocess(loaded.preprocess)
        self.visual_prompt, self.coupling = self._build_parts(visual, coupling, frames)
        self.largest_scale = max(LARGEST_SCALE, float(self.logit_scale.detach()))  # some weights have more than 100
        self.frames, self.normalise_frames, self.kl = frames, normalise_frames, loss == "kl"
        self.text_chunk, self.checkpoint = text_chunk, checkpoint
        self.regulariser = self._build_regulariser(regularisation)

    def forward(self, batch: dict) -> dict[str, Any]:
        """Losses of a batch: {"cls_loss": 0-d} and, with a regularisation, "text_loss"; logged: "train_top1".

        Args:
            batch: `inputs` (B, V, T, 3, S, S) uint8, RGB, or (B, V, T, E) float features of frames; `labels` (B,)
                int64; optional `targets` (B, K) float, labels that are mixed; optional `masks` (B, V, T) bool.
        """
        pooled, text = self._encode(batch)
        logits = self._logits(pooled, text, batch["inputs"].shape[:2])
        goal = batch.get("targets")
        hard = batch["labels"] if goal is None else goal.argmax(1)
        top1 = (logits.detach().argmax(1) == hard).float().mean()
        if self.kl:
            goal = F.one_hot(hard, logits.shape[1]).float() if goal is None else goal
            loss = F.kl_div(logits.log_softmax(1), goal.float(), reduction="batchmean")
        else:
            loss = F.cross_entropy(logits, hard if goal is None else goal.float())
        losses = {"cls_loss": loss, LOGGED: {"train_top1": top1}}
        if self.regulariser is not None:
            losses["text_loss"] = self.regulariser(text)
        self.look_at_first(loss, text.flatten(0, -2)[: len(self.classes)], pooled)
        return losses

    @torch.no_grad()
    def predict(self, batch: dict) -> list[ClassScores]:
        """One `ClassScores` per sample; ValueError for inputs or logits with NaN or infinite numbers."""
        pooled, text = self._encode(batch)
        return self._scores(batch, self._logits(pooled, text, batch["inputs"].shape[:2]))

    @property
    def per_video(self) -> bool:
        """Do the texts differ from video to video?"""
        return self._conditional or (self.coupling is not None and self.coupling.per_video)

    def text_features(self, videos: Tensor | None = None, summaries: list[Tensor | None] | None = None) -> Tensor:
        """Features of the texts of all classes, not normalised.

        Args:
            videos: (M, E) normalised features of the videos, where the texts follow them.
            summaries: list over layers of the summaries of the visual prompts, see `ImageEncoder.prompted`.
        Returns:
            (R, E), or (M, R, E) where the texts follow the videos
        """
        condition = (videos,) if self._conditional else ()
        several = 1 if videos is None else len(videos)  # M
        embeddings, eot = self.prompt_learner(self.text_encoder.token_embedding, *condition)
        deep = {} if self.coupling is None else self.coupling.text(summaries)
        texts = len(eot) // (several if self._conditional else 1)  # R
        count = texts * (several if self.per_video else 1)
        rows = torch.arange(count, device=eot.device)  # the texts of the first video first

        def encode(rows: Tensor) -> Tensor:
            own = rows if self._conditional else rows % texts
            mine = {i: v[rows // texts] if v.dim() == 3 else v for i, v in deep.items()}
            blockwise = self.checkpoint and self.text_chunk is None and torch.is_grad_enabled()
            return self.text_encoder(embeddings[own], eot[own], mine, checkpoint=blockwise)

        features = self._in_chunks(encode, rows)
        return features.unflatten(0, (several, texts)) if self.per_video else features

    def check_dataset(self, dataset: Any) -> None:
        """Raise a ValueError if the model cannot take the videos of `dataset`; warn of another resizing.

        Args:
            dataset: its `frames` and `image_size`, T and S of its views, and `resizing`; with features of frames
                `feature_dim` and `source`.
        """
        dataset = Dataset.of(dataset)
        size = dataset.image_size
        if dataset.feature_dim is not None:
            self._refuse_features()
            super().check_dataset(dataset)
        elif size is not None and (size, size) != self.prepare.size:
            raise ValueError(
                f"the frames of the dataset have {size} x {size} pixels, but {self.clip_name} takes "
                f"{' x '.join(map(str, self.prepare.size))}; give image_size={self.prepare.size[0]}"
            )
        self.prepare.check_resizing(dataset.resizing, self.clip_name)
        frames = dataset.frames
        if frames is not None and frames != self.frames and self._whole_clips:
            raise ValueError(
                f"the views of the dataset have {frames} frames, but the visual prompts are built for {self.frames}"
            )

    def text_parameters(self) -> list[nn.Parameter]:
        """Parameters that texts of all videos hang on."""
        return [*self.prompt_learner.parameters(), *(self.coupling.parameters() if self.coupling is not None else ())]

    @property
    def _conditional(self):
        return self.prompt_learner.conditional

    @property
    def _parts(self):
        return [part for part in (self.visual_prompt, self.coupling) if part is not None]

    @property
    def _whole_clips(self):
        return any(part.whole_clips for part in self._parts)

    def _build_parts(self, visual, coupling, frames):
        """The visual prompt and the coupling, either or both None."""
        text, image = self.text_encoder, self.image_encoder
        if (visual or coupling) and not image.promptable:
            raise ValueError(
                f"the visual tower of {self.clip_name} takes no prompts: it is not a VisionTransformer of open_clip "
                "with plain blocks; take a model such as ViT-B-16, or neither `visual` nor `coupling`"
            )
        sizes = {"frames": frames, "patch": image.patch}
        widths = {"text_width": text.width, "visual_width": image.width}
        layers = {"text_layers": text.layers, "visual_layers": image.layers}
        return (
            VISUAL_PROMPTS.build(visual, width=image.width, layers=image.layers, **sizes) if visual else None,
            COUPLINGS.build(coupling, **widths, **layers, **sizes) if coupling else None,
        )

    def _build_regulariser(self, cfg):
        if cfg is None:
            return None
        if not self.prompt_learner.learns:
            raise ValueError("regularisation is for prompts that learn; the texts here are fixed")
        if not isinstance(cfg, dict) or set(cfg) != {"weight", "template"}:
            raise ValueError(f"regularisation needs dict(weight=..., template=...), not {cfg!r}")
        return TextRegulariser(self.classes, self.text_encoder, self.tokens, **cfg)

    def _encode(self, batch):
        """Normalised features of the views (M, E), and of the texts: (R, E) or (M, R, E)."""
        frames, summaries = self._frame_features(batch["inputs"].flatten(0, 1))
        masks = batch.get("masks")
        if masks is not None and self._whole_clips:
            raise ValueError(
                "videos of unequal numbers of frames in one batch, but the visual prompts need whole clips"
            )
        if self.normalise_frames:
            frames = F.normalize(frames.float(), dim=-1)
        pooled = self.pooling(frames, None if masks is None else masks.flatten(0, 1))
        pooled = F.normalize(pooled.float(), dim=-1)
        if self.per_video:
            return pooled, self.text_features(pooled, summaries)
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in self.text_parameters())
        return pooled, self.text_features() if learns else self.kept_texts()

    def _frame_features(self, inputs):
        """(M, T, 3, S, S) uint8 or (M, T, E) float -> (M, T, E), and the summaries of all layers or None"""
        if inputs.is_floating_point():
            self._refuse_features()
            self._check_width(inputs)
            return inputs, None
        if inputs.shape[-2:] != self.prepare.size:
            raise ValueError(
                f"frames of {tuple(inputs.shape[-2:])} pixels, but {self.clip_name} takes {self.prepare.size}"
            )
        images = self.prepare.normalise(inputs.flatten(0, 1))
        if not self._parts:
            with torch.no_grad():
                return self.image_encoder(images).unflatten(0, inputs.shape[:2]), None
        learns = torch.is_grad_enabled() and any(p.requires_grad for part in self._parts for p in part.parameters())
        with torch.set_grad_enabled(learns):
            frames = images.unflatten(0, inputs.shape[:2])
            return self.image_encoder.prompted(frames, self._parts, checkpoint=self.checkpoint and learns)

    def _in_chunks(self, encode, rows):
        """`encode(rows)`, `text_chunk` rows at a time."""
        if self.text_chunk is None:
            return encode(rows)
        chunks = rows.split(self.text_chunk)
        if not torch.is_grad_enabled():
            return torch.cat([encode(chunk) for chunk in chunks])
        return torch.cat([recomputed(encode, chunk, use_reentrant=False) for chunk in chunks])

    def _logits(self, pooled, text, shape):
        """(M, E), (R, E) or (M, R, E), (B, V) -> (B, K)"""
        with torch.autocast(pooled.device.type, enabled=False):  # at a scale of 100, bf16 would round logits to halves
            text, scaled = F.normalize(text.float(), dim=-1), self._scale() * pooled  # in open_clip's order
            logits = scaled @ text.T if text.dim() == 2 else torch.einsum("me,mre->mr", scaled, text)
            return self.of_classes(logits).unflatten(0, shape).mean(1)

    def _scale(self):
        """Factor of the cosines, at most 100 or what it started at."""
        if not self.training:
            return self.logit_scale.clamp(max=self.largest_scale).exp()
        self.logit_scale.data.clamp_(max=self.largest_scale)  # not in the graph: no gradient would lead back
        return self.logit_scale.exp()

    def _refuse_features(self):
        if self._parts:
            names = " and ".join(type(part).__name__ for part in self._parts)
            raise ValueError(
                f"features of frames (feature_dir) leave nothing to prompt for {names}, of the visual tower; "
                "give frames (feature_dir=None), or take a method that learns in the text alone, such as Video-CoOp"
            )
