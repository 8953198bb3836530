"""Learn a prompt for every class, from sentences of your own, on features of videos.

A thin shell of `train.py`: the options below are keys of the config, and everything that a run leaves lies in its
folder below --output-dir. What is asked for most is put into --output-dir itself: initial_prompts.json,
learned_prompts.json, learned_prompts_best.json, curves.png and checkpoints/best_custom_prompt_model.pth.
"""

import os
import shutil
from argparse import BooleanOptionalAction
from pathlib import Path

from ..config import raw_config
from ..datasets.feature_prompts.index import class_folders, find_classes
from ..engine.checkpoint import save_checkpoint
from ..evaluation.viz.curves import draw_curves, evaluations
from ..ops.names import class_key
from ..registry import nearest
from ..utils.files import list_folder
from ..utils.logging import LOGGER
from ..utils.provenance import FEATURE_RECORD, read_feature_record
from ..utils.weight_files import load_checkpoint
from . import train
from .common import Parser, add_device_arguments, command, overriding, train_words

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "configs" / "prompt" / "ucf_crime" / "custom_prompts_mobileclip2_s0.py"
MODES = ("class_init", "class_prefix", "random", "shared_init")
WITH_N_CTX, WITH_SENTENCES = ("class_prefix", "random"), ("class_init", "class_prefix")
BEST = "best_custom_prompt_model.pth"
# option: the key of the config that it sets
KEYS = {
    "feature_dir": "feature_dir",
    "val_feature_dir": "val_feature_dir",
    "annotation_dir": "annotation_dir",
    "forbid_list": "forbid_list",
    "normal_class": "normal_class",
    "unit_duration": "unit_duration",
    "crop_separator": "crop_separator",
    "frames_per_row": "frames_per_row",
    "fps": "fps",
    "strict_mode": "dataset.train.strict_mode",
    "max_files_per_class": "dataset.train.max_files_per_class",
    "shots": "dataset.train.shots",
    "balanced": "dataset.train.balanced",
    "class_weights": "dataset.train.class_weights",
    "ctx_mode": "model.prompt.ctx_mode",
    "csc": "model.prompt.csc",
    "class_token_position": "model.prompt.class_token_position",
    "text_pooling": "model.text_pooling",
    "epochs": "end_epoch",
    "warmup_epochs": "warmup_epoch",
    "batch_size": "batch_size",
    "lr": "lr",
    "weight_decay": "branches.model.optimizer.weight_decay",
    "num_workers": "num_workers",
    "save_every": "workflow.checkpoint_interval",
    "amp": "solver.amp",
}


def add_recipe_arguments(cli, required=True):
    """Arguments that describe data and prompts; only what is typed changes the config."""
    data = cli.add_argument_group("data")
    data.add_argument(
        "--feature-dir", metavar="DIR", required=required, help="class folders of .npy files to learn from"
    )
    data.add_argument("--val-feature-dir", metavar="DIR", required=required, help="the same, to validate on")
    data.add_argument("--annotation-dir", metavar="DIR", help="CSV files of the events in the videos to learn from")
    data.add_argument(
        "--frame-annotation", metavar="TXT", help="events of the videos to validate on: frame-level AUC too"
    )
    data.add_argument("--forbid-list", metavar="TXT", help="names of videos that must not be learned from")
    data.add_argument("--normal-class", metavar="NAME", help="the class without anomalies")
    data.add_argument("--class-order", choices=("normal_first", "sorted"), default="normal_first", help="of the labels")
    data.add_argument("--unit-duration", type=int, metavar="N", help="rows of a sample")
    data.add_argument("--fps", type=float, metavar="F", help="frames per second of all videos (of the config: 30)")
    data.add_argument(
        "--frames-per-row", type=int, metavar="N", help="video frames that a row stands for, N / F seconds (config: 30)"
    )
    data.add_argument("--crop-separator", metavar="TEXT", help="what parts the name of a video from that of a crop")
    data.add_argument("--strict-mode", choices=("post_event", "event_only", "off"), help="which units events leave out")
    data.add_argument("--max-files-per-class", type=int, metavar="N", help="the first so many files of every class")
    data.add_argument("--shots", type=int, metavar="K", help="so many videos of every class, drawn by --seed")
    data.add_argument("--balanced", action="store_true", help="draw all classes equally often")
    data.add_argument("--class-weights", choices=("balanced",), help="weigh the classes in the loss")
    prompts = cli.add_argument_group("prompts and tower")
    prompts.add_argument(
        "--initial-prompts-file", metavar="JSON", help="{class: sentence} (default: those of the config)"
    )
    prompts.add_argument("--ctx-mode", choices=MODES, help="where the context starts from")
    prompts.add_argument("--ctx-init", metavar="TEXT", help="the sentence of --ctx-mode shared_init")
    prompts.add_argument("--n-ctx", type=int, metavar="N", help="vectors of a context that starts at random")
    prompts.add_argument("--csc", action="store_true", help="a context for every class")
    prompts.add_argument("--class-token-position", choices=("end", "middle", "front"), help="where the name stands")
    prompts.add_argument("--text-pooling", choices=("mean", "eot"), help="how a text is read out")
    prompts.add_argument(
        "--temporal-agg", choices=("mean", "max", "attention"), help="how the rows of a unit are pooled"
    )
    prompts.add_argument(
        "--clip-model",
        metavar="M",
        help="name of open_clip, or a JSON file (default: the model that made the features)",
    )
    prompts.add_argument("--pretrained", metavar="P", help="its weights: a file, or a name that open_clip downloads")
    prompts.add_argument(
        "--quick-gelu", action=BooleanOptionalAction, help="run the activation of OpenAI's models, or the exact GELU"
    )


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    add_recipe_arguments(cli)
    runs = cli.add_argument_group("training")
    runs.add_argument("--output-dir", metavar="DIR", required=True, help="folder of the results")
    runs.add_argument("--epochs", type=int, metavar="N", help="epochs of training")
    runs.add_argument("--warmup-epochs", type=int, metavar="N", help="epochs at the rate to warm up")
    runs.add_argument("--batch-size", type=int, metavar="N", help="samples of a batch, over all processes")
    runs.add_argument("--lr", type=float, help="learning rate")
    runs.add_argument("--weight-decay", type=float, help="weight decay")
    runs.add_argument("--num-workers", type=int, metavar="N", help="processes that load data")
    runs.add_argument("--save-every", type=int, metavar="N", help="epochs between checkpoints")
    runs.add_argument("--patience", type=int, metavar="N", help="stop after so many epochs without a better accuracy")
    runs.add_argument("--amp", choices=("fp16", "bf16"), help="mixed precision")
    runs.add_argument("--resume", metavar="PATH|auto", help="go on with a run; auto: its newest whole checkpoint")
    runs.add_argument("--config", default=str(RECIPE), help="the config that the options change")
    runs.add_argument("--cfg-options", nargs="+", default=[], metavar="a.b=v", help="further keys of the config")
    add_device_arguments(cli)
    return cli


def run(args):
    """Train, and put what is asked for most into the folder of the results; returns the exit code of the training."""
    given = {"--work_dir": args.output_dir, "--seed": args.seed, "--device": args.device, "--resume": args.resume}
    code = train.main(train_words(args.config, given, [*overriding(recipe(args)), *args.cfg_options]))
    folders = sorted(list_folder(args.output_dir, "gpu*_id0", absent=True), key=lambda path: path.stat().st_mtime)
    if code == 0 and folders and os.environ.get("RANK", "0") == "0":
        publish(folders[-1], Path(args.output_dir))
    return code


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def recipe(args):
    """{key of the config: value} of parsed arguments."""
    values = {name: value for name, value in vars(args).items() if value is not None and value is not False}
    keys = {KEYS[name]: value for name, value in values.items() if name in KEYS}
    keys["forbid_list"] = args.forbid_list or beside(args.feature_dir)
    folders = class_folders(Path(args.feature_dir), skip=args.annotation_dir)
    order = {"normal_class": args.normal_class or "normal", "class_order": args.class_order}
    keys["class_names"], _ = find_classes(folders, classes=None, allow_missing=False, **order)
    keys["allow_missing"] = True  # of videos to validate on, a class may lack
    base, record = raw_config(args.config), read_feature_record(args.feature_dir) or {}
    mode = args.ctx_mode or base.model.prompt.get("ctx_mode", "random")
    sentences = own_sentences(base.get("class_prompts"), keys["class_names"])
    keys |= tower(args, record) | prompt_keys(args, mode, sentences) | schedule_keys(args, base)
    keys["evaluation"] = evaluation(args, keys["class_names"])
    if same_videos(args) and "allow_overlap" in base:  # they were typed so, and a warning says it
        keys["allow_overlap"] = True
    if args.temporal_agg:
        keys["model.temporal"] = {"type": f"{args.temporal_agg.capitalize()}Pooling"}
    if args.temporal_agg == "attention":
        keys["branches.model.trainable"] = ["prompt_learner.*", "pooling.*"]
    tell_what_is_ignored(args, mode, keys["class_names"], record)
    return keys


def schedule_keys(args, base):
    """Keys of the length of a run; a run of one epoch has none to warm up."""
    keys = {}
    if getattr(args, "epochs", None) is not None:
        if args.epochs < 1:
            raise ValueError(f"--epochs {args.epochs} must be at least 1")
        if args.warmup_epochs is None:
            keys["warmup_epoch"] = min(base.warmup_epoch, args.epochs - 1)
    if getattr(args, "patience", None) is not None:
        keys["hooks"] = [{"type": "ExportHook"}, {"type": "EarlyStopHook", "patience": args.patience}]
    return keys


def evaluation(args, classes):
    """Config of the metric: classes alone, or frames too where their annotation is given."""
    accuracy = {"type": "Accuracy", "classes": classes}
    if not args.frame_annotation:
        return accuracy
    timed = {"normal_class": args.normal_class or "normal", "annotation": args.frame_annotation}
    timed |= {"frames_per_row": args.frames_per_row or 30}
    frames = {"type": "FrameAnomaly", "classes": classes, "fps": args.fps or 30.0}
    return {"type": "CombinedMetrics", "metrics": [accuracy | timed, frames | timed]}


def tell_what_is_ignored(args, mode, classes, record):
    """Warn of options that have no effect; ValueError for a normal class that is none."""
    if args.normal_class and class_key(args.normal_class) not in map(class_key, classes):
        raise ValueError(f"--normal-class {args.normal_class!r} is no class; {nearest(args.normal_class, classes)}")
    idle = {
        "--frames-per-row without --frame-annotation or --annotation-dir": args.frames_per_row
        and not (args.frame_annotation or args.annotation_dir),
        "--strict-mode without --annotation-dir": args.strict_mode and not args.annotation_dir,
        "--csc with --ctx-mode class_init, whose contexts belong to classes anyway": args.csc and mode == "class_init",
    }
    for what, given in idle.items():
        if given:
            LOGGER.warning("%s has no effect", what)
    row = (args.frames_per_row or 30) / (args.fps or 30)
    unit = record.get("unit_sec", row)
    if abs(unit - row) > 1e-6:
        LOGGER.warning("the features tell of rows of %g s, but --frames-per-row and --fps of rows of %g s", unit, row)
    if same_videos(args):
        LOGGER.warning("the videos to validate on are those to learn from: %s", args.feature_dir)


def same_videos(args):
    """Are the videos to validate on those to learn from?"""
    return bool(args.val_feature_dir) and Path(args.val_feature_dir).resolve() == Path(args.feature_dir).resolve()


def beside(feature_dir):
    """The list of videos not to be trained on that `tools/prepare/ucf_crime.py` puts beside the features, or None."""
    path = Path(feature_dir).parent / "test_videos.txt"
    if path.is_file():
        LOGGER.info("videos in %s are not learned from", path)
    return str(path) if path.is_file() else None


def own_sentences(sentences, classes):
    """Those of the config's sentences whose classes are here, or None."""
    wanted = set(map(class_key, classes))
    return {name: text for name, text in (sentences or {}).items() if class_key(name) in wanted} or None


def prompt_keys(args, mode, sentences):
    """Keys of the prompts; what the mode has no use for is told and left out."""
    keys = {"model.prompt.class_prompts": None}
    given = {"n_ctx": (args.n_ctx, WITH_N_CTX), "ctx_init": (args.ctx_init, ("shared_init",))}
    for name, (value, modes) in given.items():
        if value is not None and mode in modes:
            keys[f"model.prompt.{name}"] = value
        elif value is not None:
            LOGGER.warning("--%s has no effect with --ctx-mode %s; it is for %s", name.replace("_", "-"), mode, modes)
    if mode in WITH_SENTENCES:
        keys["model.prompt.class_prompts"] = args.initial_prompts_file or sentences
    elif args.initial_prompts_file:
        LOGGER.warning("--initial-prompts-file has no effect with --ctx-mode %s", mode)
    return keys


def tower(args, record):
    """Keys of the tower: as typed, else the model that made the features by their `record`, else the config's."""
    keys = {}
    if args.clip_model is None and "model" in record:
        for key, name in (("clip_model", "model"), ("clip_pretrained", "pretrained")):
            inside = Path(args.feature_dir) / str(record.get(name))
            keys[key] = str(inside) if inside.is_file() else record.get(name)
        keys["clip_quick_gelu"] = record.get("quick_gelu")
        LOGGER.info("tower: %s, as %s beside the features tells", keys["clip_model"], FEATURE_RECORD)
    folder = args.clip_model and (args.clip_model.startswith("local-dir:") or Path(args.clip_model).is_dir())
    if args.clip_model and not args.pretrained and not folder:
        raise ValueError(
            f"--clip-model {args.clip_model}: name its weights by --pretrained, a file or a name of open_clip"
        )
    typed = {"clip_model": args.clip_model, "clip_pretrained": args.pretrained}
    typed["clip_quick_gelu"] = args.quick_gelu
    return keys | {key: value for key, value in typed.items() if value is not None}


def publish(folder, out):
    """Copy prompts, curves and the best prompts' weights from the run in `folder` to `out`."""
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
    model = raw_config(folder / train.RESOLVED).model
    content |= {"ctx_mode": model.prompt.get("ctx_mode"), "text_pooling": model.get("text_pooling")}
    save_checkpoint(out / "checkpoints" / BEST, content | {"clip": dict(model.clip)})
