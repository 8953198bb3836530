"""The commands that train one method each: their options, what these change in the method's config, and the run."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..config import raw_config
from ..datasets.video_prompts.few_shot import PROTOCOLS
from . import train
from .common import Parser, add_device_arguments, overriding, train_words

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "prompt"
METHODS = ("video_coop", "dual_coop", "stt", "vidop", "vilt", "vita")
DATASETS = ("ucf101", "hmdb51", "kinetics400", "demo_clips")
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


@dataclass(frozen=True)
class Flag:
    """One option of the commands.

    Args:
        name: as it is typed, without dashes.
        key: the key of the config that it sets, or the keys that `to_keys` sets, for the table.
        help: what it is.
        kind: int, float, bool (a twin `--no-...` is made), a tuple of choices, or what stands for a text in the help.
        none: may it be "none", no value?
        methods: which have it.
        to_keys: (value, everything typed, the config) -> {key: value}, where it is not `key` alone.
    """

    name: str
    key: str
    help: str
    kind: object = "TEXT"
    none: bool = False
    methods: tuple = METHODS
    to_keys: Callable | None = None

    @property
    def dest(self):
        """Its name in parsed arguments."""
        return self.name.replace("-", "_")

    @property
    def metavar(self):
        """What stands for its value in the help."""
        if isinstance(self.kind, tuple):
            return f"{{{','.join([*self.kind, *(['none'] if self.none else [])])}}}"
        return {int: "N", float: "X", bool: None}.get(self.kind, self.kind)

    def add(self, cli):
        """Add it to a parser; what is not typed is absent from the parsed arguments."""
        more = {"dest": self.dest, "default": argparse.SUPPRESS, "help": self.help.replace("%", "%%")}
        if self.kind is bool:
            cli.add_argument(f"--{self.name}", action=argparse.BooleanOptionalAction, **more)
            return
        if isinstance(self.kind, tuple):
            more["choices"] = (*self.kind, *([None] if self.none else []))
        cli.add_argument(f"--{self.name}", type=self._value, metavar=self.metavar, **more)

    def keys(self, typed, base):
        """{key of the config: value} where it was `typed`, of a `base` config."""
        return self.to_keys(typed[self.dest], typed, base) if self.to_keys else {self.key: typed[self.dest]}

    def _value(self, text):
        """What a word means."""
        if self.none and text.lower() == "none":
            return None
        if isinstance(self.kind, tuple):
            return text.replace("-", "_")
        try:
            return self.kind(text) if self.kind in (int, float) else text
        except ValueError:
            what = "a whole number" if self.kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}{' or none' if self.none else ''}") from None


def _validation_shots(value, typed, base):
    """So many videos; a share of the config's is given up for them.  None of them only where a share is typed."""
    if value < 1 and not typed.get("val_share"):
        raise ValueError(f"--K-val {value}: the best epoch is that of validation, so give at least 1, or --val-share")
    return {"K_val": value} | ({"val_share": 0.0} if "val_share" not in typed else {})


def _validation_share(value, typed, base):
    """A share; a number of the config's is given up for it."""
    return {"val_share": value or 0.0} | ({"K_val": 0} if value and "K_val" not in typed else {})


def _pooling(value, typed, base):
    return {"temporal_pooling": POOLINGS[value]}


def _mix(value, typed, base):
    """The mix that the two options and the config describe together; none without a kind."""
    former = base.get("videomix") or {}
    kind = typed.get("videomix_type", former.get("kind"))
    if kind is None and "videomix_prob" in typed:
        raise ValueError(f"--videomix-prob {value}: no clips are mixed; say how by --videomix-type {'|'.join(MIXES)}")
    probability = typed.get("videomix_prob", former.get("probability", 1.0))
    return {"videomix": kind and {"type": "VideoMix", "kind": kind, "probability": probability}}


def _depth(value, typed, base):
    """Where the visual prompts stand, as two options say."""
    deep, throughout = (
        typed.get(f"{name}_vision_prompts{end}") for name, end in (("deep", ""), ("keep", "_throughout"))
    )
    if deep and throughout:
        raise ValueError("--deep-vision-prompts and --keep-vision-prompts-throughout exclude each other")
    return {"model.visual.depth": "deep" if deep else "throughout" if throughout else "shallow"}


def _texts(value, typed, base):
    return {"text_template": HANDCRAFTED if value else "{}"}


def _sentence(value, typed, base):
    """Start from a sentence, whose tokens are the context, or at random."""
    if value is None:
        return {"model.prompt.ctx_mode": "random", "model.prompt.ctx_init": None}
    if "ctx_len" in typed:
        raise ValueError(f"--ctx-len {typed['ctx_len']} and --ctx-init exclude each other: the sentence has its length")
    return {"model.prompt.ctx_mode": "shared_init", "model.prompt.ctx_init": value, "ctx_len": None}


def _conditional(value, typed, base):
    return {"model.prompt.type": "ConditionalPromptLearner" if value else "PromptLearner"}


def _just_pooling(value, typed, base):
    """The pooling alone trains, if it has anything to learn."""
    pooling = typed.get("temporal_pooling")
    kind = (POOLINGS[pooling] if pooling else base.get("temporal_pooling", {})).get("type")
    if value and kind in ("MeanPooling", "MaxPooling"):
        raise ValueError(
            f"--learn-just-pooling: {kind} learns nothing; choose --temporal-pooling attention, or another"
        )
    return {"trainable": ["pooling.*"] if value else None}


def _wandb(value, typed, base):
    return {"wandb": {"project": "opentad_bi"} if value else None}


FLAGS = (
    Flag("data-dir", "data_root", "folder of the data set", "DIR"),
    Flag("K-train", "K_train", "videos of a class to learn from; none: all that validation leaves", int, none=True),
    Flag("K-val", "K_val", "videos of a class to validate on", int, to_keys=_validation_shots),
    Flag("val-share", "val_share", "in place of --K-val: share of a class's groups", float, none=True,
         to_keys=_validation_share),
    Flag("draw-seed", "draw_seed", "of the draw of those videos", int),
    Flag("class-protocol", "protocol", "which classes", PROTOCOLS),
    Flag("class-count", "protocol_count", "how many, for most_frequent, least_frequent and random", int, none=True),
    Flag("class-seed", "protocol_seed", "of random classes", int),
    Flag("num-frames", "num_frames", "frames of a view", int),
    Flag("num-temporal-views", "temporal_views", "runs of frames that a video is cut into", int),
    Flag("num-spatial-views", "spatial_views", "1: the centre; 3: start, centre and end", int),
    Flag("frame-cache", "frame_cache", "folder that keeps the resized frames", "DIR", none=True),
    Flag("feature-dir", "feature_dir", "folder of cached frame features", "DIR", none=True, methods=("video_coop",)),
    Flag("use-augmentation", "use_augmentation", "augment the clips to learn from", bool),
    Flag("videomix-type", "videomix", "mix two clips and their labels", MIXES, none=True, to_keys=_mix),
    Flag("videomix-prob", "videomix", "probability that a clip is mixed", float, to_keys=_mix),
    Flag("batch-size", "batch_size", "samples of a batch, over all processes", int),
    Flag("batches-per-backprop", "batches_per_backprop", "batches whose gradients make one step", int),
    Flag("num-workers", "num_workers", "processes that load data", int),
    Flag("ctx-len", "ctx_len", "learned vectors of the text", int, methods=LEARNED_TEXT),
    Flag("ctx-init", "model.prompt.ctx_init", "sentence that the context starts from", none=True,
         methods=LEARNED_TEXT, to_keys=_sentence),
    Flag("csc", "model.prompt.csc", "a context for every class", bool, methods=LEARNED_TEXT),
    Flag("class-token-position", "model.prompt.class_token_position", "where the name stands",
         ("end", "middle", "front"), methods=LEARNED_TEXT),
    Flag("conditional", "model.prompt.type", "the context follows the video", bool, methods=("video_coop",),
         to_keys=_conditional),
    Flag("ctx-len-video", "ctx_len_video", "learned vectors of a frame; of a layer in vita and stt", int,
         methods=VISUAL),
    Flag("keep-vision-prompts-throughout", "model.visual.depth", "they stay in all layers", bool, methods=DEPTH,
         to_keys=_depth),
    Flag("deep-vision-prompts", "model.visual.depth", "every layer has its own", bool, methods=DEPTH, to_keys=_depth),
    Flag("use-handcrafted-features", "text_template", f"texts are '{HANDCRAFTED}', not bare names", bool,
         methods=("vidop",), to_keys=_texts),
    Flag("descriptors", "descriptors", "JSON file {class: [sentence, ...]} of texts", "JSON", none=True,
         methods=("vidop",)),
    Flag("regularisation", "regularisation", "weight of the pull towards hand-made texts", float, methods=("vilt",)),
    Flag("temporal-pooling", "temporal_pooling", "how frames become one feature", tuple(POOLINGS), to_keys=_pooling),
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
    Flag("use-wandb", "wandb", "write to Weights & Biases", bool, to_keys=_wandb),
)  # fmt: skip


def method_parser(method, description):
    """The arguments of the command of `method`; what is not typed is as the config says."""
    cli = Parser(description, f"The options change keys of configs/prompt/DATASET/{method}.py; none means no value.")
    cli.add_argument("--dataset", choices=DATASETS, default=DATASETS[0], help="which config of the method")
    for flag in flags_of(method):
        flag.add(cli)
    cli.add_argument("--no-wandb", dest="use_wandb", action="store_false", default=argparse.SUPPRESS,
                     help="the same as --no-use-wandb")  # fmt: skip
    cli.add_argument("--output-dir", metavar="DIR", help="folder for runs (default: the config's work_dir)")
    cli.add_argument("--id", type=int, default=0, help="number of this run in its folder's name")
    cli.add_argument("--resume", metavar="PATH|auto", help="go on with a run; auto: its newest whole checkpoint")
    cli.add_argument("--cfg-options", nargs="+", default=[], metavar="a.b=v", help="further keys of the config")
    add_device_arguments(cli)
    return cli


def run_method(method, args):
    """Train `method` as parsed `args` say; returns the exit code of the training."""
    config = CONFIGS / args.dataset / f"{method}.py"
    given = {"--seed": args.seed, "--id": args.id, "--device": args.device}
    given |= {"--work_dir": args.output_dir, "--resume": args.resume}
    return train.main(train_words(config, given, [*overriding(settings(method, args, config)), *args.cfg_options]))


def flags_of(method):
    """The options that `method` has."""
    return [flag for flag in FLAGS if method in flag.methods]


def settings(method, args, config):
    """{key of the config: value} of what was typed.

    Args:
        method: its name.
        args: parsed arguments of its command.
        config: path of the config that they change.
    Raises:
        ValueError: options that exclude each other, or one without what it needs.
    """
    flags, base = flags_of(method), raw_config(config)
    typed = {flag.dest: getattr(args, flag.dest) for flag in flags if flag.dest in args}
    keys = {}
    for flag in flags:
        if flag.dest in typed:
            keys |= flag.keys(typed, base)
    return keys


def flag_table():
    """All options as a table in Markdown."""
    rows = ["| option | methods | key of the config | what |", "|---|---|---|---|"]
    for flag in FLAGS:
        lacking = [name for name in METHODS if name not in flag.methods]
        methods = "all" if not lacking else f"all but {lacking[0]}" if len(lacking) == 1 else ", ".join(flag.methods)
        value = f"`, `--no-{flag.name}" if flag.kind is bool else f" {flag.metavar}".replace("|", "\\|")
        rows.append(f"| `--{flag.name}{value}` | {methods} | `{flag.key}` | {flag.help} |")
    return "\n".join(rows)
