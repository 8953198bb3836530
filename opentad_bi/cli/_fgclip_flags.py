"""The flags of the training command of FG-CLIP's video derivative, and what they are in a config of ours."""

import argparse
import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..config import load_config
from ..datasets.video_anomaly.captions import captioned_videos
from ..utils.logging import LOGGER
from ._readiness import missing_captions

OPENAI = {
    "openai/clip-vit-base-patch32": "ViT-B-32-quickgelu",
    "openai/clip-vit-base-patch16": "ViT-B-16-quickgelu",
    "openai/clip-vit-large-patch14": "ViT-L-14-quickgelu",
    "openai/clip-vit-large-patch14-336": "ViT-L-14-336-quickgelu",
    "ViT-B/32": "ViT-B-32-quickgelu",
    "ViT-B/16": "ViT-B-16-quickgelu",
    "ViT-L/14": "ViT-L-14-quickgelu",
    "ViT-L/14@336px": "ViT-L-14-336-quickgelu",
}
REGION_WEIGHT, HARD_WEIGHT = 0.1, 0.5
PER_DEVICE, ACCUMULATED = "per_device_train_batch_size", "gradient_accumulation_steps"
SHAPES = {"cosine": "cosine", "linear": "linear", "constant": "constant", "constant_with_warmup": "constant"}
READING = ("classes", "normal_class", "frame_base", "on_bad_box", "on_bad_entry", "caption_map", "on_chinese",
           "empty_caption", "forbid_list", "drop_forbidden")  # fmt: skip
_TRUE, _FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


@dataclass(frozen=True)
class Flag:
    """One flag.

    Args:
        name: as it is typed, without dashes.
        kind: bool, int, float, str, a tuple of choices, or list (one word or more).
        keys: the key of the config that it sets, or a function (value, typed, base) -> {key: value}; typed: all values
            that were typed, by name; base: the config.
        help: what it is.
    """

    name: str
    kind: object
    keys: str | Callable
    help: str

    def add(self, cli):
        """Add it to a parser; what is not typed is absent from the parsed arguments."""
        more = {"default": argparse.SUPPRESS, "help": self.help}
        if self.kind is bool:
            more |= {"type": _truth, "nargs": "?", "const": True, "metavar": "True|False"}
        elif self.kind is list:
            more |= {"nargs": "+", "metavar": "PATH"}
        elif isinstance(self.kind, tuple):
            more["choices"] = self.kind
        else:
            more |= {"type": self.kind, "metavar": {int: "N", float: "X", str: "TEXT"}[self.kind]}
        cli.add_argument(f"--{self.name}", **more)

    def settings(self, typed, base):
        """{key of the config: value} of what was typed."""
        value = typed[self.name]
        return {self.keys: value} if isinstance(self.keys, str) else self.keys(value, typed, base)


def _truth(text):
    if text.lower() not in (*_TRUE, *_FALSE):
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")
    return text.lower() in _TRUE


def _data(value, typed, base):
    """Caption files; what else belongs to the set is looked for beside the first of them."""
    if absent := missing_captions(value):
        raise FileNotFoundError(f"--data_path: {absent}")
    folder = Path(value[0]) if Path(value[0]).is_dir() else Path(value[0]).parent
    keys = {"data_root": str(folder), "ann_files": value[0] if len(value) == 1 else list(value)}
    return keys | _forbid_list(folder, typed, base)


def _forbid_list(folder, typed, base):
    """The list of test videos: where the config has it, beside the captions, or in the folder of the videos."""
    written = base.get("forbid_list")
    if written is None:
        return {}
    if not isinstance(written, str):  # names
        return {"forbid_list": written}
    name = Path(written).name
    places = [Path(written.replace("${data_root}", str(folder))), folder / name]
    places += [Path(typed["image_folder"]) / name] if "image_folder" in typed else []
    places.append(Path(written.replace("${data_root}", str(base.get("data_root")))))
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        tried = ", ".join(map(str, dict.fromkeys(places)))
        raise FileNotFoundError(
            f"the list of test videos, which must not be trained on, is at none of these places: {tried}; name it by "
            "--cfg-options forbid_list=PATH, or train without it by --cfg-options forbid_list=None"
        )
    return {"forbid_list": str(found)}


def _model(value, typed, base):
    """A name of OpenAI's models or of open_clip, or a file of weights."""
    if value in OPENAI:
        more = {"image_size": 336} if value.endswith(("336", "336px")) else {}
        return {"clip_model": OPENAI[value], "clip_pretrained": "openai"} | more
    if Path(value).is_file() and Path(value).suffix != ".json":
        return {"clip_pretrained": value}
    return {"clip_model": value}


def _openai(value, typed, base):
    return {"clip_pretrained": "openai" if value else None}


def _boxes(value, typed, base):
    """The weight of the config, unless that is none."""
    return {"region_weight": (base.region_weight or REGION_WEIGHT) if value else 0.0}


def _hard_negatives(value, typed, base):
    """The weight of the config, or FG-CLIP's where that is none; the model logs what the annotation has for it."""
    if value and typed.get("add_box_loss") is False:
        raise ValueError("--use_hard_neg True needs regions, which --add_box_loss False leaves out")
    return {"hard_weight": (base.hard_weight or HARD_WEIGHT) if value else 0.0}


def batch_size(typed):
    """Videos of a step: accumulated batches of all processes as one."""
    sizes = [typed.get(name, 1) for name in (PER_DEVICE, ACCUMULATED)]
    if min(sizes) < 1:
        raise ValueError(f"--per_device_train_batch_size and --gradient_accumulation_steps must be at least 1: {sizes}")
    return sizes[0] * sizes[1] * int(os.environ.get("WORLD_SIZE", "1"))


def _batch(value, typed, base):
    return {"batch_size": batch_size(typed)}


def _accumulated(value, typed, base):
    """One batch in place of several: a loss of contrast has no negatives but those of its batch."""
    size = batch_size(typed)
    if value == 1:
        return {"batch_size": size}
    LOGGER.info(
        "%d accumulated batches become one of %d videos that takes the memory of one (recompute='video'): a video is "
        "told from the others of its batch alone, so accumulated batches of 1 would teach nothing",
        value, size,
    )  # fmt: skip
    return {"batch_size": size, "recompute": "video"}


def _checkpointing(value, typed, base):
    if typed.get(ACCUMULATED, 1) > 1:
        return {}
    return {"recompute": "block" if value else None}


def _epochs(value, typed, base):
    if value != int(value) or value < 1:
        raise ValueError(f"--num_train_epochs {value:g} must be a whole number of at least 1")
    return {"end_epoch": int(value)}


def _shape(value, typed, base):
    return {"lr_shape": SHAPES[value]} | ({"warmup_share": 0.0, "warmup_steps": None} if value == "constant" else {})


def _warm_steps(value, typed, base):
    return {"warmup_steps": value or None}


def _bf16(value, typed, base):
    return {"amp": "bf16" if value else None}


def _fp16(value, typed, base):
    if value:
        raise ValueError("--fp16 True: these losses overflow fp16; take --bf16 True, or neither for fp32")
    return {}


def _save_steps(value, typed, cfg):
    """Checkpoints are written at the end of epochs: of the nearest number of them.  `cfg`: with all other keys."""
    if typed.get("save_strategy", "steps") != "steps":
        return {}
    if value < 1:
        raise ValueError(f"--save_steps {value} must be at least 1")
    train = cfg.dataset.train
    if absent := missing_captions(train.ann_files):
        raise FileNotFoundError(absent)
    videos, _ = captioned_videos(train.ann_files, **{name: train[name] for name in READING if name in train})
    per_epoch = max(1, len(videos) // cfg.solver.train.batch_size)
    epochs = max(1, round(value / per_epoch))
    LOGGER.info("--save_steps %d: an epoch has %d steps, so a checkpoint is written every %d epochs",
                value, per_epoch, epochs)  # fmt: skip
    return {"workflow.checkpoint_interval": epochs}


def _save_strategy(value, typed, base):
    if value == "steps":
        return {}
    epochs = int(typed.get("num_train_epochs", base.end_epoch))
    return {"workflow.checkpoint_interval": 1 if value == "epoch" else epochs}


def _evaluation(value, typed, base):
    return {"workflow.val_eval_interval": 0 if value == "no" else 1}


def _report(value, typed, base):
    """Where numbers are written to, beside the log."""
    keys = {"workflow.tensorboard": not {"tensorboard", "all"}.isdisjoint(value)}
    if not {"wandb", "all"}.isdisjoint(value):
        name = {"name": typed["wandb_run_name"]} if "wandb_run_name" in typed else {}
        keys["workflow.wandb"] = {"project": typed.get("wandb_project", "opentad_bi"), **name}
    return keys


def _nothing(value, typed, base):
    return {}


FLAGS = (
    Flag("data_path", list, _data, "caption files: .json, .txt of their paths, or folders"),
    Flag("image_folder", str, "video_root", "folder of the videos"),
    Flag("num_frames", int, "num_frames", "frames of a video"),
    Flag("add_box_loss", bool, _boxes, "learn from regions too"),
    Flag("use_hard_neg", bool, _hard_negatives, "tell captions of regions from the wrong texts of the annotation"),
    Flag("base_model", str, _model, "a model's name, OpenAI's or open_clip's, or its JSON file"),
    Flag("model_name_or_path", str, _model, "the same, which counts more, or a file of weights for it"),
    Flag("from_openai", bool, _openai, "start from OpenAI's weights; False: random ones"),
    Flag("max_seq_length", int, "context_length", "tokens of the caption of a video, 77 or 248"),
    Flag("base_image_size", int, "image_size", "side of a frame"),
    Flag("learning_rate", float, "lr", "of all but the text tower"),
    Flag("text_model_lr", float, "text_lr", "of the text tower"),
    Flag("weight_decay", float, "weight_decay", "of matrices"),
    Flag("warmup_ratio", float, "warmup_share", "share of the steps"),
    Flag("warmup_steps", int, _warm_steps, "in place of --warmup_ratio"),
    Flag("lr_scheduler_type", tuple(SHAPES), _shape, "after the warm-up"),
    Flag("max_grad_norm", float, "clip_grad_norm", "of the gradient of each tower"),
    Flag("num_train_epochs", float, _epochs, "epochs"),
    Flag(PER_DEVICE, int, _batch, "videos of a process"),
    Flag(ACCUMULATED, int, _accumulated, "so many times more videos in a step, as one batch"),
    Flag("gradient_checkpointing", bool, _checkpointing, "less memory, more time"),
    Flag("bf16", bool, _bf16, "arithmetic in bf16; weights are fp32"),
    Flag("fp16", bool, _fp16, "refused if True"),
    Flag("dataloader_num_workers", int, "num_workers", "processes that load videos"),
    Flag("save_strategy", ("steps", "epoch", "no"), _save_strategy, "when checkpoints are written"),
    Flag("save_steps", int, _nothing, "steps between them, as the nearest number of epochs"),
    Flag("save_total_limit", int, "workflow.keep_last", "checkpoints that are kept"),
    Flag("logging_steps", int, "workflow.logging_interval", "steps between lines of the log"),
    Flag("evaluation_strategy", ("no", "steps", "epoch"), _evaluation, "evaluate after every epoch, or never"),
    Flag("report_to", list, _report, "tensorboard, wandb, all, none"),
    Flag("wandb_project", str, _nothing, "for --report_to wandb"),
    Flag("wandb_run_name", str, _nothing, "for --report_to wandb"),
)  # fmt: skip
IDLE = {
    "is_video": bool,
    "is_multimodal": bool,
    "lazy_preprocess": bool,
    "remove_unused_columns": bool,
    "base_seq_length": int,
    "image_aspect_ratio": str,
    "dataloader_prefetch_factor": int,
}  # accepted, without effect


def settings(typed, base, overrides=None):
    """{key of the config: value} of what was typed.

    Args:
        typed: {flag: value}.
        base: the config as it is written.
        overrides: {key of the config: value} that count more than what was typed.
    Raises:
        ValueError: a value that is not offered.
        FileNotFoundError: no captions, or no list of the test videos.
    """
    keys, overrides, base = {}, overrides or {}, copy.deepcopy(base)
    for key in overrides.keys() & base.keys():
        base[key] = overrides[key]
    for flag in FLAGS:
        if flag.name in typed:
            keys |= flag.settings(typed, base)
    if "save_steps" in typed:
        keys |= _save_steps(typed["save_steps"], typed, load_config(base.filename, keys | overrides))
    return keys
