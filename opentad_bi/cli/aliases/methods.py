"""Six methods of prompt learning on videos, a command each: Video-CoOp, Dual-CoOp, STT, ViDOP, ViLT and ViTA."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from . import METHODS
from .core import Flag, elsewhere, overrides, train_with, typed_flags

EPILOG = "The options change keys of configs/prompt/DATASET/METHOD.py; none means no value."
RECIPE = None  # --dataset chooses it
DATASETS = ("ucf101", "hmdb51", "kinetics400", "demo_clips")
PROTOCOLS = ("all", "most_frequent", "least_frequent", "random", "base", "new")
LEARNED_TEXT = tuple(name for name in METHODS if name != "vidop")  # the others' texts are fixed
VISUAL = tuple(name for name in METHODS if name != "video_coop")
DEPTH = ("dual_coop", "vidop")  # methods whose visual prompts may stay, or be new in every layer
HANDCRAFTED = "A video of a person doing {}."
POOLINGS = {
    "mean": {"type": "MeanPooling"},
    "max": {"type": "MaxPooling"},
    "attention": {"type": "AttentionPooling"},
    "attention_residual": {"type": "AttentionPooling", "residual": True},
    "transformer": {"type": "TransformerPooling"},
}
MIXES = ("spatial", "temporal", "spatiotemporal")


def _validation_shots(value, typed, base):
    """So many videos; in place of a ratio of the config.  0 of them only where a ratio is typed."""
    if value < 1 and not typed.get("val_ratio"):
        raise ValueError(f"--K-val {value}: the best epoch is that of validation, so give at least 1, or --val-ratio")
    return {"K_val": value} | ({"val_ratio": 0.0} if "val_ratio" not in typed else {})


def _validation_ratio(value, typed, base):
    """A ratio, in place of a number of the config."""
    return {"val_ratio": value or 0.0} | ({"K_val": 0} if value and "K_val" not in typed else {})


def _mix(value, typed, base):
    """The mix that the two options and the config describe together; none without a kind."""
    own = base.get("videomix") or {}
    kind = typed.get("videomix_type", own.get("kind"))
    if kind is None and "videomix_prob" in typed:
        raise ValueError(f"--videomix-prob {value}: no clips are mixed; say how by --videomix-type {'|'.join(MIXES)}")
    probability = typed.get("videomix_prob", own.get("probability", 1.0))
    return {"videomix": kind and {"type": "VideoMix", "kind": kind, "probability": probability}}


def _depth(value, typed, base):
    """Where the visual prompts stand, as two options say."""
    deep, throughout = (
        typed.get(f"{name}_vision_prompts{end}") for name, end in (("deep", ""), ("keep", "_throughout"))
    )
    if deep and throughout:
        raise ValueError("--deep-vision-prompts and --keep-vision-prompts-throughout exclude each other")
    return {"model.visual.depth": "deep" if deep else "throughout" if throughout else "shallow"}


def _sentence(value, typed, base):
    """Start from a sentence, whose tokens are the context, or at random."""
    if value is None:
        return {"model.prompt.ctx_mode": "random", "model.prompt.ctx_init": None}
    if "ctx_len" in typed:
        raise ValueError(f"--ctx-len {typed['ctx_len']} and --ctx-init exclude each other: the sentence has its length")
    return {"model.prompt.ctx_mode": "shared_init", "model.prompt.ctx_init": value, "ctx_len": None}


def _just_pooling(value, typed, base):
    """The pooling alone trains, if it has anything to learn."""
    pooling = typed.get("temporal_pooling")
    kind = (POOLINGS[pooling] if pooling else base.get("temporal_pooling", {})).get("type")
    if value and kind in ("MeanPooling", "MaxPooling"):
        raise ValueError(
            f"--learn-just-pooling: {kind} learns nothing; choose --temporal-pooling attention, or another"
        )
    return {"trainable": ["pooling.*"] if value else None}


FLAGS = (
    Flag("dataset", "configs/prompt/DATASET", f"the set of the config (default: {DATASETS[0]})", DATASETS,
         to_keys=elsewhere),
    Flag("data-dir", "data_root", "folder of the data set", "DIR"),
    Flag("K-train", "K_train", "videos of a class to learn from; none: all that validation leaves", int, none=True),
    Flag("K-val", "K_val", "videos of a class to validate on", int, to_keys=_validation_shots),
    Flag("val-ratio", "val_ratio", "in place of --K-val: ratio of a class's groups", float, none=True,
         to_keys=_validation_ratio, other=("val-share",)),
    Flag("sampling-seed", "sampling_seed", "seed of the random sampling of those videos", int,
         other=("draw-seed",)),
    Flag("class-protocol", "protocol", "which classes", PROTOCOLS),
    Flag("class-count", "protocol_count", "how many, for most_frequent, least_frequent and random", int, none=True),
    Flag("class-seed", "protocol_seed", "seed of the random sampling of classes", int),
    Flag("num-frames", "num_frames", "frames of a view", int),
    Flag("num-temporal-views", "temporal_views", "runs of frames that a video is cut into", int),
    Flag("num-spatial-views", "spatial_views", "1: the centre; 3: start, centre and end", int),
    Flag("frame-cache", "frame_cache", "folder that keeps the resized frames", "DIR", none=True),
    Flag("feature-dir", "feature_dir", "folder of cached frame features", "DIR", none=True, commands=("video_coop",)),
    Flag("use-augmentation", "use_augmentation", "augment the clips to learn from", bool),
    Flag("videomix-type", "videomix", "mix two clips and their labels", MIXES, none=True, to_keys=_mix),
    Flag("videomix-prob", "videomix", "probability that a clip is mixed", float, to_keys=_mix),
    Flag("batch-size", "batch_size", "samples of a batch, over all processes", int),
    Flag("batches-per-backprop", "batches_per_backprop", "batches whose gradients make one step", int),
    Flag("num-workers", "num_workers", "processes that load data", int),
    Flag("ctx-len", "ctx_len", "learned vectors of the text", int, commands=LEARNED_TEXT),
    Flag("ctx-init", "model.prompt.ctx_init", "sentence that the context starts from", none=True,
         commands=LEARNED_TEXT, to_keys=_sentence),
    Flag("csc", "model.prompt.csc", "a context for every class", bool, commands=LEARNED_TEXT),
    Flag("class-token-position", "model.prompt.class_token_position", "where the name stands",
         ("end", "middle", "front"), commands=LEARNED_TEXT),
    Flag("conditional", "model.prompt.type", "the context follows the video", bool, commands=("video_coop",),
         to_keys=lambda value, *_: {"model.prompt.type": "ConditionalPromptLearner" if value else "PromptLearner"}),
    Flag("ctx-len-video", "ctx_len_video", "learned vectors of a frame; of a layer in vita and stt", int,
         commands=VISUAL),
    Flag("keep-vision-prompts-throughout", "model.visual.depth", "they stay in all layers", bool, commands=DEPTH,
         to_keys=_depth),
    Flag("deep-vision-prompts", "model.visual.depth", "every layer has its own", bool, commands=DEPTH, to_keys=_depth),
    Flag("use-handcrafted-features", "text_template", f"texts are '{HANDCRAFTED}', not bare names", bool,
         commands=("vidop",), to_keys=lambda value, *_: {"text_template": HANDCRAFTED if value else "{}"}),
    Flag("descriptors", "descriptors", "JSON file {class: [sentence, ...]} of texts", "JSON", none=True,
         commands=("vidop",)),
    Flag("regularisation", "regularisation", "weight of the pull towards hand-made texts", float, commands=("vilt",)),
    Flag("temporal-pooling", "temporal_pooling", "how frames become one feature", tuple(POOLINGS),
         to_keys=lambda value, *_: {"temporal_pooling": POOLINGS[value]}),
    Flag("learn-just-pooling", "trainable", "train the pooling alone", bool, to_keys=_just_pooling),
    Flag("logit-scale", "logit_scale", "factor of the cosines: weights, learned, fixed:X or learned:X", "SCALE"),
    Flag("lr", "lr", "learning rate", float),
    Flag("weight-decay", "weight_decay", "weight decay", float),
    Flag("epochs", "end_epoch", "epochs of training", int),
    Flag("patience", "patience", "stop after so many epochs without a better accuracy", int),
    Flag("gradient-checkpointing", "checkpointing", "less memory, more time", bool),
    Flag("amp", "solver.amp", "mixed precision", ("fp16", "bf16"), none=True),
    Flag("clip-model", "clip_model", "name of open_clip, or a JSON file", "MODEL"),
    Flag("pretrained", "clip_pretrained", "its weights: a file, or a name that open_clip downloads", "WEIGHTS",
         none=True),
    Flag("quick-gelu", "clip_quick_gelu", "run the activation of OpenAI's models", bool),
    Flag("continue-from", "continue_from", "a checkpoint, its folder, or METHOD/DATASET/RUN_ID below models/",
         "PATH|KEY", none=True),
    Flag("use-fresh-lr-scheduler", "use_fresh_lr_scheduler", "a schedule from its start, not that of --continue-from",
         bool),
    Flag("run-id", "run_id", "name of the run below models/METHOD/DATASET; none: by --id", "NAME", none=True),
    Flag("use-wandb", "wandb", "write to Weights & Biases", bool,
         to_keys=lambda value, *_: {"wandb": {"project": "opentad_bi"} if value else None}, other=("wandb",)),
    Flag("output-dir", "--work-dir", "folder for runs (default: the config's work_dir)", "DIR"),
    Flag("id", "--id", "number of this run in its folder's name (default: 0)", int),
    Flag("resume", "--resume", "a checkpoint to resume from; auto: the newest one that is whole", "PATH|auto"),
)  # fmt: skip


def run(name: str, args: Namespace) -> int:
    """Train by the method `name` as parsed `args` say; returns the exit code of the training."""
    flags = [flag for flag in FLAGS if flag.dest in args]
    config = method_config(name, vars(args).get("dataset", DATASETS[0]))
    return train_with(config, args, flags, settings(typed_flags(args, flags), config))


def method_config(name: str, dataset: str) -> Path:
    """The config of a method on one of DATASETS."""
    from ...config import find_config

    return find_config(f"prompt/{dataset}/{name}")


def settings(typed: dict[str, Any], config: str | Path) -> dict[str, Any]:
    """{key of the config: value} of the options that were typed.

    Args:
        typed: {name with underscores: value}.
        config: path of the config that they change.
    Raises:
        ValueError: options that exclude each other, or one without what it needs.
    """
    from ...config import raw_config

    return overrides(FLAGS, typed, raw_config(config))
