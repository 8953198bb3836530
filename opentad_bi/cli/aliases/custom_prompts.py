"""Learning a prompt for every class on features of videos, by the options of its original.

A table over `train`: the options are keys of the config, and all that a run leaves is in its folder below --output-dir.
"""

import os
import shutil
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .core import LOGGER, Flag, elsewhere, grouped, overrides, train_with, typed_flags

EPILOG = """
Everything that a run leaves is in its folder below --output-dir. What is asked for most is put into --output-dir
itself: initial_prompts.json, learned_prompts.json, learned_prompts_best.json, curves.png and
checkpoints/best_custom_prompt_model.pth.
"""
RECIPE = "prompt/ucf_crime/custom_prompts_mobileclip2_s0"
MODES = ("class_init", "class_prefix", "random", "shared_init")
WITH_N_CTX, WITH_SENTENCES = ("class_prefix", "random"), ("class_init", "class_prefix")
BEST = "best_custom_prompt_model.pth"


def _pooling(value, typed, base):
    keys = {"model.temporal": {"type": f"{value.capitalize()}Pooling"}}
    return keys | ({"branches.model.trainable": ["prompt_learner.*", "pooling.*"]} if value == "attention" else {})


def _epochs(value, typed, base):
    """The length of a run; a run of one epoch has none to warm up."""
    if value < 1:
        raise ValueError(f"--epochs {value} must be at least 1")
    return {"end_epoch": value} | (
        {} if "warmup_epochs" in typed else {"warmup_epoch": min(base.warmup_epoch, value - 1)}
    )


def _patience(value, typed, base):
    return {"hooks": [{"type": "ExportHook"}, {"type": "EarlyStopHook", "patience": value}]}


# what describes data and prompts
DATA_FLAGS = grouped(
    "data",
    Flag("feature-dir", "feature_dir", "class folders of .npy files to learn from", "DIR", required=True),
    Flag("val-feature-dir", "val_feature_dir", "the same, to validate on", "DIR", required=True),
    Flag("annotation-dir", "annotation_dir", "CSV files of the events in the videos to learn from", "DIR"),
    Flag("frame-annotation", "evaluation", "events of the videos to validate on: frame-level AUC too", "TXT",
         to_keys=elsewhere),
    Flag("forbid-list", "forbid_list", "names of videos that must not be learned from", "TXT"),
    Flag("normal-class", "normal_class", "the class without anomalies", "NAME"),
    Flag("class-order", "class_names", "of the labels (default: normal_first)", ("normal_first", "sorted"),
         to_keys=elsewhere),
    Flag("snippet-duration", "snippet_duration", "rows of a sample", int, other=("unit-duration",)),
    Flag("fps", "fps", "frames per second of all videos (of the config: 30)", float),
    Flag("frames-per-row", "frames_per_row", "video frames that a row stands for, N / FPS seconds (config: 30)", int),
    Flag("crop-separator", "crop_separator", "what parts the name of a video from that of a crop"),
    Flag("strict-mode", "dataset.train.strict_mode", "which snippets events leave out",
         ("post_event", "event_only", "off")),
    Flag("max-files-per-class", "dataset.train.max_files_per_class", "at most N files of every class", int),
    Flag("shots", "dataset.train.shots", "so many videos of every class, sampled by --seed", int),
    Flag("balanced", "dataset.train.balanced", "sample all classes equally often", bool),
    Flag("class-weights", "dataset.train.class_weights", "weigh the classes in the loss", ("balanced",)),
) + grouped(
    "prompts and tower",
    Flag("initial-prompts-file", "model.prompt.class_prompts", "{class: sentence} (default: those of the config)",
         "JSON", to_keys=elsewhere),
    Flag("ctx-mode", "model.prompt.ctx_mode", "where the context starts from", MODES),
    Flag("ctx-init", "model.prompt.ctx_init", "the sentence of --ctx-mode shared_init", to_keys=elsewhere),
    Flag("n-ctx", "model.prompt.n_ctx", "vectors of a context that starts at random", int, to_keys=elsewhere),
    Flag("csc", "model.prompt.csc", "a context for every class", bool),
    Flag("class-token-position", "model.prompt.class_token_position", "where the name stands",
         ("end", "middle", "front")),
    Flag("text-pooling", "model.text_pooling", "how a text is read out", ("mean", "eot")),
    Flag("temporal-agg", "model.temporal", "how the rows of a snippet are pooled", ("mean", "max", "attention"),
         to_keys=_pooling),
    Flag("clip-model", "clip_model", "name of open_clip, or a JSON file (default: the model that made the features)",
         "MODEL", to_keys=elsewhere),
    Flag("pretrained", "clip_pretrained", "its weights: a file, or a name that open_clip downloads", "WEIGHTS",
         to_keys=elsewhere),
    Flag("quick-gelu", "clip_quick_gelu", "run the activation of OpenAI's models, or the exact GELU", bool,
         to_keys=elsewhere),
)  # fmt: skip
FLAGS = DATA_FLAGS + grouped(
    "training",
    Flag("output-dir", "--work-dir", "folder of the results", "DIR", required=True),
    Flag("epochs", "end_epoch", "epochs of training", int, to_keys=_epochs),
    Flag("warmup-epochs", "warmup_epoch", "epochs of warm-up", int),
    Flag("batch-size", "batch_size", "samples of a batch, over all processes", int),
    Flag("lr", "lr", "learning rate", float),
    Flag("weight-decay", "branches.model.optimizer.weight_decay", "weight decay", float),
    Flag("num-workers", "num_workers", "processes that load data", int),
    Flag("save-every", "workflow.checkpoint_interval", "epochs between checkpoints", int),
    Flag("patience", "hooks", "stop after so many epochs without a better accuracy", int, to_keys=_patience),
    Flag("amp", "solver.amp", "mixed precision", ("fp16", "bf16")),
    Flag("resume", "--resume", "a checkpoint to resume from; auto: the newest one that is whole", "PATH|auto"),
)  # fmt: skip


def run(name: str, args: Namespace) -> int:
    """Train, and put what is asked for most into the folder of the results; returns the exit code of the training."""
    from ...config import find_config
    from ...utils.files import list_folder

    config, out = find_config(args.config), Path(args.output_dir)
    code = train_with(config, args, FLAGS, recipe(typed_flags(args, FLAGS), config))
    folders = sorted(list_folder(out, "gpu*_id0", absent=True), key=lambda path: path.stat().st_mtime)
    if code == 0 and folders and os.environ.get("RANK", "0") == "0":
        publish(folders[-1], out)
    return code


def recipe(typed: Mapping[str, Any], config: str | Path) -> dict[str, Any]:
    """{key of the config: value} of what was typed.

    Args:
        typed: {name with underscores: value}; needs feature_dir.
        config: path of the config that they change.
    Raises:
        ValueError, FileNotFoundError: what is wrong with an option, or the folder of features.
    """
    from ...config import raw_config
    from ...datasets.feature_prompts.index import class_folders, find_classes
    from ...utils.provenance import read_feature_record

    base, record = raw_config(config), read_feature_record(typed["feature_dir"]) or {}
    keys = overrides(FLAGS, typed, base)
    keys["forbid_list"] = typed.get("forbid_list") or beside(typed["feature_dir"])
    folders = class_folders(Path(typed["feature_dir"]), skip=typed.get("annotation_dir"))
    order = {
        "normal_class": typed.get("normal_class", "normal"),
        "class_order": typed.get("class_order", "normal_first"),
    }
    classes, _ = find_classes(folders, classes=None, allow_missing=False, **order)
    keys |= {"class_names": classes, "allow_missing": True}  # a class may have no videos to validate on
    mode = typed.get("ctx_mode") or base.model.prompt.get("ctx_mode", "random")
    keys |= tower(typed, record) | prompt_keys(typed, mode, own_sentences(base.get("class_prompts"), classes))
    keys["evaluation"] = evaluation(typed, classes)
    if same_videos(typed) and "allow_overlap" in base:  # they were typed so, and a warning says it
        keys["allow_overlap"] = True
    warn_of_no_effect(typed, mode, classes, record)
    return keys


def evaluation(typed: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Config of the metric: classes alone, or frames too where their annotation is given."""
    accuracy = {"type": "Accuracy", "classes": classes}
    if "frame_annotation" not in typed:
        return accuracy
    timed = {"normal_class": typed.get("normal_class", "normal"), "annotation": typed["frame_annotation"]}
    timed |= {"frames_per_row": typed.get("frames_per_row") or 30}
    frames = {"type": "FrameAnomaly", "classes": classes, "fps": typed.get("fps") or 30.0}
    return {"type": "CombinedMetrics", "metrics": [accuracy | timed, frames | timed]}


def warn_of_no_effect(typed: Mapping[str, Any], mode: str, classes: Sequence[str], record: Mapping[str, Any]) -> None:
    """Warn of options that have no effect; ValueError for a normal class that is unknown."""
    from ...ops.names import class_key
    from ...registry import nearest

    normal = typed.get("normal_class")
    if normal and class_key(normal) not in map(class_key, classes):
        raise ValueError(f"--normal-class {normal!r}: unknown class; {nearest(normal, classes)}")
    events = typed.keys() & {"frame_annotation", "annotation_dir"}
    idle = {
        "--frames-per-row without --frame-annotation or --annotation-dir": "frames_per_row" in typed and not events,
        "--strict-mode without --annotation-dir": "strict_mode" in typed and "annotation_dir" not in typed,
        "--csc with --ctx-mode class_init, whose contexts belong to classes anyway": typed.get("csc")
        and mode == "class_init",
    }
    for what in [what for what, given in idle.items() if given]:
        LOGGER.warning("%s has no effect", what)
    row = (typed.get("frames_per_row") or 30) / (typed.get("fps") or 30)
    unit = record.get("unit_sec", row)
    if abs(unit - row) > 1e-6:
        LOGGER.warning("the features are of rows of %g s, but --frames-per-row and --fps give rows of %g s", unit, row)
    if same_videos(typed):
        LOGGER.warning("the videos to validate on are those to learn from: %s", typed["feature_dir"])


def same_videos(typed: Mapping[str, Any]) -> bool:
    """Are the videos to validate on those to learn from?"""
    other = typed.get("val_feature_dir")
    return other is not None and Path(other).resolve() == Path(typed["feature_dir"]).resolve()


def beside(feature_dir: str) -> str | None:
    """The list of videos not to be trained on that `opentad-bi ucf-crime` puts beside the features, or None."""
    path = Path(feature_dir).parent / "test_videos.txt"
    if not path.is_file():
        return None
    LOGGER.info("videos in %s are not learned from", path)
    return str(path)


def own_sentences(sentences: Mapping[str, str] | None, classes: Sequence[str]) -> dict[str, str] | None:
    """Those of the config's sentences whose classes are here, or None."""
    from ...ops.names import class_key

    wanted = set(map(class_key, classes))
    return {name: text for name, text in (sentences or {}).items() if class_key(name) in wanted} or None


def prompt_keys(typed: Mapping[str, Any], mode: str, sentences: Mapping[str, str] | None) -> dict[str, Any]:
    """Keys of the prompts; what the mode has no use for is left out, with a warning."""
    keys: dict[str, Any] = {"model.prompt.class_prompts": None}
    for name, modes in {"n_ctx": WITH_N_CTX, "ctx_init": ("shared_init",)}.items():
        if name in typed and mode in modes:
            keys[f"model.prompt.{name}"] = typed[name]
        elif name in typed:
            LOGGER.warning("--%s has no effect with --ctx-mode %s; it is for %s", name.replace("_", "-"), mode, modes)
    if mode in WITH_SENTENCES:
        keys["model.prompt.class_prompts"] = typed.get("initial_prompts_file") or sentences
    elif "initial_prompts_file" in typed:
        LOGGER.warning("--initial-prompts-file has no effect with --ctx-mode %s", mode)
    return keys


def tower(typed: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the tower: as typed, else the model that made the features by their `record`, else the config's."""
    keys, model = {}, typed.get("clip_model")
    if model is None and "model" in record:
        for key, name in (("clip_model", "model"), ("clip_pretrained", "pretrained")):
            inside = Path(typed["feature_dir"]) / str(record.get(name))
            keys[key] = str(inside) if inside.is_file() else record.get(name)
        keys["clip_quick_gelu"] = record.get("quick_gelu")
        LOGGER.info("tower: %s, that of the record beside the features", keys["clip_model"])
    folder = model and (model.startswith("local-dir:") or Path(model).is_dir())
    if model and "pretrained" not in typed and not folder:
        raise ValueError(f"--clip-model {model}: name its weights by --pretrained, a file or a name of open_clip")
    own = {"clip_model": "clip_model", "pretrained": "clip_pretrained", "quick_gelu": "clip_quick_gelu"}
    return keys | {key: typed[name] for name, key in own.items() if name in typed}


def publish(folder: Path, out: Path) -> None:
    """Copy prompts, curves and the best prompts' weights from the run in `folder` to `out`."""
    from ...config import raw_config
    from ...engine.checkpoint import save_checkpoint
    from ...evaluation.viz.curves import draw_curves, evaluations
    from ...utils.weight_files import load_checkpoint
    from ..train import RESOLVED

    names = {"initial": "initial_prompts", "learned": "learned_prompts", "best": "learned_prompts_best"}
    for stage, name in names.items():
        if (path := folder / f"{stage}_prompts.json").is_file():
            shutil.copyfile(path, out / f"{name}.json")
    draw_curves(folder / "log.jsonl", out / "curves.png")
    best = folder / "checkpoint" / "best.pth"
    if not best.is_file():
        return
    state = load_checkpoint(best)
    numbers = evaluations(folder / "log.jsonl").get(state["epoch"], {})
    prefix, weights = "prompt_learner.", state["state_dict_ema"]  # those that were evaluated
    prompts = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
    content = {n: t for n, t in weights.items() if not n.startswith(prefix)} | {"prompt_learner_state_dict": prompts}
    content |= {"epoch": state["epoch"], "classnames": state["classes"], "classes": state["classes"]}
    content |= {"val_acc": numbers.get("eval/model/top1"), "val_loss": numbers.get("eval/model/loss")}
    model = raw_config(folder / RESOLVED).model
    content |= {"ctx_mode": model.prompt.get("ctx_mode"), "text_pooling": model.get("text_pooling")}
    save_checkpoint(out / "checkpoints" / BEST, content | {"clip": dict(model.clip)})
