"""FG-CLIP's derivative for videos: the flags of its training command, of which nothing but names is as it was."""

import copy
import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..main import overriding
from .core import LOGGER, Flag, elsewhere, overrides, train_with, truth, typed_flags

EPILOG = "The flags change keys of --config; what is not typed is as it says."
RECIPE = "fgclip/ucf_crime/full"
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


def _data(value, typed, base):
    """Caption files; what else belongs to the set is looked for beside the first of them."""
    from ..readiness import missing_captions

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


def _boxes(value, typed, base):
    """The weight of the config, unless that is none."""
    return {"region_weight": (base.region_weight or REGION_WEIGHT) if value else 0.0}


def _hard_negatives(value, typed, base):
    """The weight of the config, or FG-CLIP's where that is none; the model logs what the annotation has for it."""
    if value and typed.get("add_box_loss") is False:
        raise ValueError("--use_hard_neg True needs regions, which --add_box_loss False leaves out")
    return {"hard_weight": (base.hard_weight or HARD_WEIGHT) if value else 0.0}


def batch_size(typed: Mapping[str, Any]) -> int:
    """Videos of a step: accumulated batches of all processes as one."""
    sizes = [typed.get(name, 1) for name in (PER_DEVICE, ACCUMULATED)]
    if min(sizes) < 1:
        raise ValueError(f"--per_device_train_batch_size and --gradient_accumulation_steps must be at least 1: {sizes}")
    return sizes[0] * sizes[1] * int(os.environ.get("WORLD_SIZE", "1"))


def _accumulated(value, typed, base):
    """One batch in place of several: a loss of contrast has no negatives but those of its batch."""
    size = batch_size(typed)
    if value == 1:
        return {"batch_size": size}
    LOGGER.info(
        "%d accumulated batches become one of %d videos that takes the memory of one (recompute='video'): a video is "
        "contrasted with the others of its batch alone, so accumulated batches of 1 would teach nothing",
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
    return {"lr_shape": SHAPES[value]} | ({"warmup_ratio": 0.0, "warmup_steps": None} if value == "constant" else {})


def _fp16(value, typed, base):
    if value:
        raise ValueError("--fp16 True: these losses overflow fp16; take --bf16 True, or neither for fp32")
    return {}


def _save_steps(value, typed, cfg):
    """Checkpoints are written at the end of epochs: of the nearest number of them.  `cfg`: with all other keys."""
    if typed.get("save_strategy", "steps") != "steps":
        return {}
    from ...datasets.video_anomaly.captions import captioned_videos
    from ..readiness import missing_captions

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


def _report(value, typed, base):
    """Where numbers are written to, beside the log."""
    keys = {"workflow.tensorboard": not {"tensorboard", "all"}.isdisjoint(value)}
    if not {"wandb", "all"}.isdisjoint(value):
        name = {"name": typed["wandb_run_name"]} if "wandb_run_name" in typed else {}
        keys["workflow.wandb"] = {"project": typed.get("wandb_project", "opentad_bi"), **name}
    return keys


FLAGS = (
    Flag("data_path", "ann_files, data_root", "caption files: .json, .txt of their paths, or folders", list,
         to_keys=_data),
    Flag("image_folder", "video_root", "folder of the videos"),
    Flag("num_frames", "num_frames", "frames of a video", int),
    Flag("add_box_loss", "region_weight", "learn from regions too", truth, to_keys=_boxes),
    Flag("use_hard_neg", "hard_weight", "tell captions of regions from the wrong texts of the annotation", truth,
         to_keys=_hard_negatives),
    Flag("base_model", "clip_model", "a model's name, OpenAI's or open_clip's, or its JSON file", to_keys=_model),
    Flag("model_name_or_path", "clip_model", "the same, which counts more, or a file of weights for it",
         to_keys=_model),
    Flag("from_openai", "clip_pretrained", "start from OpenAI's weights; False: random ones", truth,
         to_keys=lambda value, *_: {"clip_pretrained": "openai" if value else None}),
    Flag("max_seq_length", "context_length", "tokens of the caption of a video, 77 or 248", int),
    Flag("base_image_size", "image_size", "side of a frame", int),
    Flag("learning_rate", "lr", "of all but the text tower", float),
    Flag("text_model_lr", "text_lr", "of the text tower", float),
    Flag("weight_decay", "weight_decay", "of matrices", float),
    Flag("warmup_ratio", "warmup_ratio", "ratio of the steps", float),
    Flag("warmup_steps", "warmup_steps", "in place of --warmup_ratio", int,
         to_keys=lambda value, *_: {"warmup_steps": value or None}),
    Flag("lr_scheduler_type", "lr_shape", "after the warm-up", tuple(SHAPES), to_keys=_shape),
    Flag("max_grad_norm", "clip_grad_norm", "of the gradient of each tower", float),
    Flag("num_train_epochs", "end_epoch", "epochs", float, to_keys=_epochs),
    Flag(PER_DEVICE, "batch_size", "videos of a process", int,
         to_keys=lambda value, typed, base: {"batch_size": batch_size(typed)}),
    Flag(ACCUMULATED, "batch_size", "so many times more videos in a step, as one batch", int, to_keys=_accumulated),
    Flag("gradient_checkpointing", "recompute", "less memory, more time", truth, to_keys=_checkpointing),
    Flag("bf16", "amp", "arithmetic in bf16; weights are fp32", truth,
         to_keys=lambda value, *_: {"amp": "bf16" if value else None}),
    Flag("fp16", "amp", "refused if True", truth, to_keys=_fp16),
    Flag("dataloader_num_workers", "num_workers", "processes that load videos", int),
    Flag("save_strategy", "workflow.checkpoint_interval", "when checkpoints are written", ("steps", "epoch", "no"),
         to_keys=_save_strategy),
    Flag("save_steps", "workflow.checkpoint_interval", "steps between them, as the nearest number of epochs", int,
         to_keys=elsewhere),
    Flag("save_total_limit", "workflow.keep_last", "checkpoints that are kept", int),
    Flag("logging_steps", "workflow.logging_interval", "steps between lines of the log", int),
    Flag("evaluation_strategy", "workflow.val_eval_interval", "evaluate after every epoch, or never",
         ("no", "steps", "epoch"), to_keys=lambda value, *_: {"workflow.val_eval_interval": 0 if value == "no" else 1}),
    Flag("report_to", "workflow.tensorboard, workflow.wandb", "tensorboard, wandb, all, none", list, to_keys=_report),
    Flag("wandb_project", "workflow.wandb", "for --report_to wandb", to_keys=elsewhere),
    Flag("wandb_run_name", "workflow.wandb", "for --report_to wandb", to_keys=elsewhere),
    *(Flag(name, "", "accepted, without effect", truth)
      for name in ("is_video", "is_multimodal", "lazy_preprocess", "remove_unused_columns")),
    *(Flag(name, "", "accepted, without effect", int) for name in ("base_seq_length", "dataloader_prefetch_factor")),
    Flag("image_aspect_ratio", "", "accepted, without effect"),
    Flag("tf32", "", "products of fp32 matrices in TF32 on GPUs", truth, to_keys=elsewhere),
    Flag("output_dir", "work_dir", "folder for runs (default: the config's work_dir)", "DIR"),
    Flag("resume_from_checkpoint", "--resume",
         "a checkpoint to resume from (default: auto, the newest one that is whole, if there is one)", "PATH|auto",
         to_keys=elsewhere, other=("resume",)),
    Flag("skip_check", "--skip-check", "do not look first whether all is ready", bool, to_keys=elsewhere),
)  # fmt: skip


def run(name: str, args: Namespace) -> int:
    """Train; returns the exit code of the training."""
    import torch

    from ...config import find_config, load_config, parse_overrides, raw_config

    typed, config = typed_flags(args, FLAGS), find_config(args.config)
    if idle := [f"--{flag.name}" for flag in FLAGS if flag.idle and flag.dest in typed]:
        LOGGER.info("without effect here: %s", ", ".join(idle))
    keys = settings(typed, raw_config(config), parse_overrides(args.cfg_options))
    if not typed.get("skip_check"):
        check(load_config(config, parse_overrides([*overriding(keys), *args.cfg_options])))
    if typed.get("tf32"):
        torch.set_float32_matmul_precision("high")
    resume = typed.get("resume_from_checkpoint", "auto")
    resume = "auto" if resume.lower() in ("true", "auto") else resume
    return train_with(config, args, FLAGS, keys, ["--resume", resume, "--skip-check"])


def settings(typed: dict[str, Any], base: Any, strongest: dict[str, Any] | None = None) -> dict[str, Any]:
    """{key of the config: value} of what was typed.

    Args:
        typed: {flag: value}.
        base: the config as it is written.
        strongest: {key of the config: value} that count more than what was typed.
    Raises:
        ValueError: a value that is not offered.
        FileNotFoundError: no captions, or no list of the test videos.
    """
    from ...config import load_config

    strongest, base = strongest or {}, copy.deepcopy(base)
    for key in strongest.keys() & base.keys():
        base[key] = strongest[key]
    keys = overrides(FLAGS, typed, base)
    if "save_steps" in typed:
        keys |= _save_steps(typed["save_steps"], typed, load_config(base.filename, keys | strongest))
    return keys


def check(cfg: Any) -> None:
    """Log what the fast check finds, in the first process; ValueError if something is in the way."""
    import torch

    from ...utils.checks import has_errors, result_table
    from ...utils.logging import setup_logging
    from ..readiness import readiness

    if os.environ.get("RANK", "0") != "0":
        return
    setup_logging()
    results = readiness(cfg, torch.device("cpu"), full=False)
    LOGGER.info("is all ready?\n%s", result_table(results))
    if has_errors(results):
        raise ValueError("not all is ready, see the lines above; fix that, or train all the same with --skip-check")
