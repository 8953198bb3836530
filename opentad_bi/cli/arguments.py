"""The options of all commands: one spelling for one thing, and nothing imported that is slow.

A function here gives the parser of one command; its docstring is the text of `--help`, the first paragraph above the
options and the rest below. Words of several parts are joined by `-`; `_` is accepted too. `--work-dir` is the
folder of runs, `--out` what a command writes itself.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_DEVICE = re.compile(r"cpu|cuda(:\d+)?")
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_NAME = "Python config file, or the name of a shipped one, such as demo/pair_exp1"
DIRECTIONS = ("for", "back", "merged", "fused")
ALL = "all"


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help that ends with the default, where there is one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        if default is None or default is False or default in ([], argparse.SUPPRESS):
            return action.help
        text = " ".join(map(str, default)) if isinstance(default, (list, tuple)) else str(default)
        return f"{action.help} (default: {text.replace('%', '%%')})"


class Parser(argparse.ArgumentParser):
    """Arguments of a command: no abbreviations, and every option in both spellings, `--a_b` and `--a-b`."""

    def __init__(self, description: str | None, epilog: str | None = None) -> None:
        super().__init__(description=description, epilog=epilog, formatter_class=_Help, allow_abbrev=False)
        self._former: dict[str, str] = {}

    def accept(self, former: str, name: str) -> None:
        """Take the option `former` of earlier versions for `name`, with a line that says so."""
        self._former[former] = name

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[override]
        """As argparse does, with every option word brought to the spelling it was added in."""
        own = {name.replace("_", "-"): name for name in self._option_string_actions if name.startswith("--")}
        words = []
        for word in sys.argv[1:] if args is None else args:
            name, sep, value = str(word).partition("=")
            spelt = name.replace("_", "-")
            if spelt in self._former:
                print(f"hint: {name} is called {self._former[spelt]} now", file=sys.stderr)
                spelt = self._former[spelt]
            words.append(own.get(spelt, name) + sep + value)
        return super().parse_known_args(words, namespace)


def _described(add: Callable[[Parser], None]) -> Callable[[], Parser]:
    """Make of a function that adds arguments one that gives the parser, described by its docstring."""

    def parser() -> Parser:
        head, _, tail = (inspect.getdoc(add) or "").partition("\n\n")
        cli = Parser(head, tail or None)
        add(cli)
        return cli

    parser.__doc__ = add.__doc__
    return parser


# ----- arguments that several commands have


def add_override_argument(cli: Parser, what: str = "overrides of existing keys of the config") -> None:
    """The option that changes keys of a config."""
    cli.add_argument("--cfg-options", "--options", nargs="+", default=[], metavar="a.b=v", help=what)


def add_config_arguments(cli: Parser) -> None:
    """Arguments of every command that reads a config."""
    cli.add_argument("config", metavar="CONFIG", help=_NAME)
    add_override_argument(cli)


def add_strict_argument(cli: Parser) -> None:
    """The option of commands that read annotation, predictions or media; they are run accordingly."""
    cli.add_argument("--strict", action="store_true", help="make every warning about the data an error")


def add_device_argument(cli: Parser) -> None:
    """Where to run, for commands whose seed is another matter."""
    cli.add_argument("--device", type=_device, help="cpu or cuda (default: cuda where there is one)")


def add_device_arguments(cli: Parser) -> None:
    """Arguments of every command that runs a network."""
    add_device_argument(cli)
    cli.add_argument("--seed", type=int, default=42, help="seed of all that is random")


def add_work_dir_argument(cli: Parser) -> None:
    """Where the runs lie."""
    cli.add_argument("--work-dir", metavar="DIR", help="folder for runs (default: the config's work_dir)")


def add_weight_arguments(cli: Parser) -> None:
    """Arguments that give each network of a pair its own weights."""
    cli.add_argument("--for-resume", metavar="P", help="initial weights of the forward network (PATH or PATH:KEY)")
    cli.add_argument("--back-resume", metavar="P", help="initial weights of the backward network")


def add_run_arguments(cli: Parser) -> None:
    """Arguments of every command that builds a run from a config."""
    add_config_arguments(cli)
    add_device_arguments(cli)
    cli.add_argument("--id", type=int, default=0, help="number of this run in its work folder's name")
    add_work_dir_argument(cli)
    add_weight_arguments(cli)
    cli.add_argument("--skip-check", action="store_true", help="do not check the dataset first")
    add_strict_argument(cli)


def _add_workers_argument(cli: Parser) -> None:
    cli.add_argument("--workers", type=positive, default=4, metavar="N", help="files opened at the same time")


def _add_video_arguments(cli: Parser) -> None:
    add_config_arguments(cli)
    cli.add_argument("checkpoint", metavar="CHECKPOINT", help="PATH (averaged weights preferred) or PATH:KEY")
    cli.add_argument("videos", nargs="+", metavar="VIDEO", help="video files, or folders of them")
    cli.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of what is written")
    add_device_argument(cli)
    cli.add_argument("--batch-size", type=int, metavar="N", help="windows at once (default: solver.test.batch_size)")
    cli.add_argument("--no-page", action="store_true", help="write no pages")


def _add_generated_arguments(cli: Parser, out: str, train: int, test: int) -> None:
    """Arguments of the commands that generate a set with a tiny CLIP model."""
    cli.add_argument("--out", type=Path, default=Path(out), metavar="DIR", help="folder of the set")
    cli.add_argument("--train-videos", type=int, default=train, metavar="N", help="of each class, to learn from")
    cli.add_argument("--test-videos", type=int, default=test, metavar="N", help="of each class, to test on")
    cli.add_argument("--seed", type=int, default=0, help="seed of data and model")
    cli.add_argument("--overwrite", action="store_true", help="make a generated set again")


def _device(text: str) -> str:
    if not _DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"invalid device {text!r}; choose cpu or cuda")
    return text


def positive(text: str) -> int:
    """The whole number of at least 1 that `text` says."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _names(text: str) -> Sequence[str]:
    return [name for name in text.split(",") if name]


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a size is WIDTHxHEIGHT, for example 320x240; got {text!r}") from error
    return width, height


# ----- train, test, use


@_described
def train(cli: Parser) -> None:
    """Train whatever a config describes: one network, or a pair."""
    add_run_arguments(cli)
    cli.add_argument("--resume", metavar="PATH|auto", help="resume a run; auto: its newest whole checkpoint")
    cli.add_argument("--not-eval", action="store_true", help="do not evaluate during training")
    cli.add_argument("--disable-deterministic", action="store_true", help="allow faster kernels that vary")


@_described
def test(cli: Parser) -> None:
    """Evaluate a checkpoint: the numbers of the config's metric, and its results as files."""
    add_run_arguments(cli)
    cli.add_argument("--checkpoint", metavar="P", help="PATH or PATH:KEY (default: the run's best.pth, else its last)")
    choices = (*DIRECTIONS, ALL)
    cli.add_argument("--direction", choices=choices, default=ALL, help="which results of a pair of networks")
    cli.add_argument("--split", default="test", help="the part of the config's `dataset` to evaluate")
    cli.add_argument("--per-class", action="store_true", help="also print the numbers of every class")
    cli.add_argument("--out", metavar="JSON", help="write the numbers to this file")
    cli.add_argument("--save-dir", metavar="DIR", help="folder of the metric's files (default: the run's work folder)")
    cli.add_argument("--allow-overlap", action="store_true", help="test even on videos that the weights learned from")
    cli.add_argument("--not-eval", action="store_true", help="write the results only; needs no labels")
    cli.add_argument(
        "--predictions", metavar="JSON", help="evaluate these saved results, where the metric reads such files"
    )


@_described
def evaluate(cli: Parser) -> None:
    """Mean average precision of a saved result file."""
    cli.add_argument("--predictions", required=True, metavar="JSON", help="result file, .json or .json.gz")
    cli.add_argument("--ground-truth", required=True, metavar="JSON", help="annotation file, .json or .json.gz")
    cli.add_argument("--subset", required=True, help="subset of the annotation file to evaluate on")
    overlaps = (0.3, 0.4, 0.5, 0.6, 0.7)
    cli.add_argument("--tiou", nargs="+", type=float, default=overlaps, metavar="O", help="overlaps that count")
    cli.add_argument("--top-k", nargs="+", type=int, metavar="K", help="also recall of the first K x truths segments")
    cli.add_argument("--blocked", metavar="FILE", help="videos to leave out: a JSON list, or text with one per line")
    cli.add_argument("--per-class", action="store_true", help="also the average precision of every class")
    cli.add_argument("--out", metavar="JSON", help="write the metrics here, as fractions")
    cli.add_argument("--timeline", metavar="PNG", help="draw predictions against the ground truth here")
    cli.add_argument("--videos", nargs="+", metavar="NAME", help="videos of --timeline (default: the first four)")
    add_strict_argument(cli)


@_described
def detect(cli: Parser) -> None:
    """Find the actions of any videos with a trained network: tables, a picture and a page to watch for each.

    Written are DIR/detections.json ({"results": {NAME: [{"segment": [start, end], "label", "score"}]}}, as
    result_detection.json of `test`), DIR/detections.csv (video,start_sec,end_sec,label,score) and, for every video, the
    timeline DIR/NAME.png and the page DIR/NAME.html with a player. Tables hold the direction that stands for the whole
    (fused, else merged, else that of the single network); pictures and pages show all of them (of a fusion, both bases
    as one). NAME is the name of the file without extension. No data set, annotation or class map is needed: checkpoints
    carry the names of the classes. A video that cannot be read, or whose picture or page cannot be written, is
    reported, the others are done, and the exit code is 1.

    Tables are written after every video. Those that are in DIR already are added to: entries of the videos that are
    found again are replaced, those of other videos stay, whatever network and options they were made with.
    """
    _add_video_arguments(cli)
    cli.add_argument(
        "--direction", metavar="D", help="write only: for, back, merged, fused, fused_for, fused_back, model"
    )
    cli.add_argument("--min-score", type=float, default=0.05, metavar="S", help="what scores less is left out")
    cli.add_argument("--classes", metavar="FILE", help="names by label, one per line (default: the checkpoint's)")
    cli.add_argument("--ground-truth", metavar="JSON", help="annotation file, drawn beside the detections")


@_described
def detect_anomaly(cli: Parser) -> None:
    """Score the frames of any videos for anomalies: tables, a curve, heat-maps and a page to watch for each.

    The score of a frame is 1 - p(normal). An interval is a run of frames that score at least --threshold; its class is
    the anomaly that is most probable on the average over it, its score that of its highest frame. Written are

      DIR/detections.json, DIR/detections.csv   intervals of all videos, in the form of `detect`
      DIR/NAME.scores.json                      every frame that was scored: second, score, probabilities; the class
      DIR/NAME.png                              the score along time
      DIR/NAME.html                             a page with a player, the score, the intervals and the heat-maps
      DIR/heat_maps/NAME/frame_NUMBER.png       with --heat-maps: where in the frame the class of the video is
      DIR/localisation.json                     with --boxes: how well heat-maps find the annotated boxes

    NAME is the name of the file without extension. No data set and no annotation is needed. A video that cannot be
    read, or that cannot be shown, is reported, the others are done, and the exit code is 1. Tables are written after
    every video. Those that are in DIR already are added to, as `detect` does.
    """
    _add_video_arguments(cli)
    cli.add_argument("--stride", type=int, metavar="N", help="score every N-th frame (default: dataset.test.stride)")
    cli.add_argument(
        "--threshold", type=float, default=0.5, metavar="S", help="score from which on a frame is in an interval"
    )
    cli.add_argument("--smooth", type=float, default=0.0, metavar="SIGMA", help="Gaussian over the scored frames")
    cli.add_argument("--heat-maps", type=int, default=0, metavar="N", help="heat-maps of the N frames that score most")
    cli.add_argument("--heat-class", metavar="NAME", help="class of the heat-maps (default: the most probable anomaly)")
    cli.add_argument("--boxes", metavar="JSON", help="caption file with regions, to measure the heat-maps by")


# ----- data


@_described
def check(cli: Parser) -> None:
    """Check the data sets of a config before training: annotation, class map, and every video or feature file.

    Every file is read and every frame decoded, unless --fast is given. Exit code 0: all was checked, there are no
    errors; 1: there are errors, or something cannot be checked, which a line "not checked" says.
    """
    add_config_arguments(cli)
    cli.add_argument("--fast", action="store_true", help="annotation, presence of files and some headers; decode none")
    cli.add_argument("--split", nargs="+", metavar="S", help="which of train, val, test (default: all there are)")
    _add_workers_argument(cli)
    cli.add_argument(
        "--write-class-map", action="store_true", help="make missing class maps from the labels of the annotation"
    )
    add_strict_argument(cli)


@_described
def stats(cli: Parser) -> None:
    """Count what a data set holds, what of it the config's windows and pyramid reach, and propose settings.

    Videos are not needed: all numbers follow from the annotation. Lengths are in seconds, and in grid positions of
    feature_stride frames. "inside": actions that lie wholly in one of the sliding windows. "actions" of a level: those
    for which a point of that level answers in some window, by the assignment that training uses; an action may have
    several levels. "points": how the points that answer for an action are spread over the levels. "unanswered": in a
    window, but no point answers. "outside": in no window by the ratio that training asks for.

    The proposal is made from the training set. Its stride is the largest at which an action of the 5th percentile spans
    4 positions. Its pyramid has levels until half the length of the --coverage of the actions ends before the last. Its
    window holds such an action wherever it lies, with --context times its length on either side; more shows the network
    more and costs memory. Features that are there keep their stride.
    """
    add_config_arguments(cli)
    cli.add_argument("--window", type=int, metavar="T", help="grid positions of a window (default: the config's)")
    cli.add_argument("--overlap", type=float, metavar="O", help="of the sliding windows (default: the config's)")
    cli.add_argument(
        "--coverage", type=float, default=0.99, metavar="P", help="part of the actions that the proposal must hold"
    )
    cli.accept("--share", "--coverage")
    cli.add_argument(
        "--context", type=float, default=1.0, metavar="L", help="lengths of an action to be seen on either side of it"
    )
    cli.add_argument("--out", metavar="JSON", help="write the numbers to this file")


@_described
def reverse_videos(cli: Parser) -> None:
    """Write the time-reversed copy of a video, or of every video of a folder."""
    cli.add_argument("src", type=Path, metavar="SRC", help="folder of videos (searched recursively) or one video")
    cli.add_argument("dst", type=Path, metavar="DST", help="folder (or file) to write; relative names are kept")
    cli.add_argument("--workers", type=positive, metavar="N", help="processes (default: one per core)")
    quality = cli.add_mutually_exclusive_group()
    quality.add_argument(
        "--crf", type=int, choices=range(52), metavar="N", default=18, help="quality 0 to 51, smaller is better"
    )
    quality.add_argument("--lossless", action="store_true", help="keep every bit of every frame")
    cli.add_argument("--gop", type=positive, default=60, metavar="N", help="most frames between keyframes")
    cli.add_argument("--preset", default="veryfast", choices=_PRESETS, metavar="NAME", help="encoder preset")
    cli.add_argument("--chunk", type=positive, default=600, metavar="N", help="most decoded frames in memory")
    cli.add_argument("--ext", nargs="+", metavar=".mp4", help="suffixes that count as video (default: all known ones)")
    cli.add_argument("--overwrite", action="store_true", help="make results again that exist")
    cli.add_argument("--keep-damaged", action="store_true", help="reverse what can be read of damaged videos")
    cli.add_argument("--verify", action="store_true", help="compare every result with its source afterwards")


@_described
def reverse_annotations(cli: Parser) -> None:
    """Mirror an annotation file in time: [s, e] of a video of D seconds becomes [D-e, D-s].

    A class map, category_idx.txt, that lies beside SRC goes along if there is none beside DST.
    """
    cli.add_argument("src", type=Path, metavar="SRC.json", help="annotation file")
    cli.add_argument("dst", type=Path, metavar="DST.json", help="file to write")
    cli.add_argument("--round", type=int, default=6, metavar="N", help="decimals kept")
    cli.add_argument("--overwrite", action="store_true", help="replace DST if it exists")


@_described
def join_clips(cli: Parser) -> None:
    """Join trimmed clips (a folder per class) into untrimmed videos with exact annotations."""
    cli.add_argument("src", type=Path, metavar="SRC", help="folder with one folder of clips per class")
    cli.add_argument("dst", type=Path, metavar="DST", help="folder to write")
    cli.add_argument("--actions", type=_names, required=True, metavar="CLASS[,CLASS]", help="classes to detect")
    cli.add_argument("--background", type=_names, required=True, metavar="CLASS[,CLASS]", help="what is between")
    cli.add_argument("--videos", type=int, default=20, metavar="N", help="videos to make")
    cli.add_argument("--train-ratio", type=float, default=0.6, metavar="P", help="part of clips and videos to train on")
    cli.accept("--split", "--train-ratio")
    cli.add_argument("--passes", type=int, default=1, metavar="N", help="how often each clip is used")
    cli.add_argument("--seed", type=int, default=0, help="seed of the orders")
    cli.add_argument("--fps", type=int, default=25, help="frames per second")
    cli.add_argument("--size", type=_size, default="320x240", metavar="WxH", help="pixels")
    cli.add_argument("--fit", choices=("crop", "letterbox"), default="crop", help="what to do with another aspect")
    cli.add_argument("--overwrite", action="store_true", help="make the set again if it exists")


@_described
def label_studio(cli: Parser) -> None:
    """Make a caption file of a raw export of Label Studio (format JSON) of videos with rectangles and texts.

    Disabled keyframes stay: they say where a box ends. Of an export with timeline labels (formats JSON and JSON_MIN) an
    annotation of actions is made instead, {"database": ...}, for `train` and `evaluate`. Its frames count from 1, both
    ends included, at the frameRate of the Video tag in Label Studio: --fps, else `fps` in the data of a task, else that
    of the labelling configuration, else the rate of the file in --video-root.
    """
    cli.add_argument("src", type=Path, metavar="EXPORT.json", help="export of Label Studio")
    cli.add_argument("dst", type=Path, metavar="OUT.json", help="file to write")
    cli.add_argument("--video-key", default="video", metavar="NAME", help="name of the video in the data of a task")
    cli.add_argument("--on-bad-region", choices=("error", "skip"), default="error",
                     help="of a region that cannot be read; its video stays")  # fmt: skip
    cli.add_argument("--form", choices=("captions", "actions"),
                     help="what to make (default: actions of timeline labels, else captions)")  # fmt: skip
    cli.add_argument("--fps", type=float, help="actions: frames per second that the timeline counts")
    cli.add_argument("--video-root", type=Path, metavar="DIR", help="actions: folder of the videos, for their lengths")
    cli.add_argument("--first-frame", type=int, choices=(0, 1), default=1, help="actions: number of the first frame")
    cli.add_argument("--subset", default="training", metavar="NAME", help="actions: subset that all videos get")
    cli.add_argument("--overwrite", action="store_true", help="replace OUT.json if it exists")


@_described
def ucf_crime(cli: Parser) -> None:
    """Lay out features of UCF-Crime for training and test by its official lists.

    Writes OUT/{train,test}/<class>/*.npy (links), OUT/annotations/test/<class>.csv (events in seconds),
    OUT/test_videos.txt (never to be trained on) and OUT/Temporal_Anomaly_Annotation.txt. Running it again is safe.
    """
    cli.add_argument(
        "features",
        metavar="FEATURES",
        help="folder with .npy files at any depth, named after the videos, with or without a crop",
    )
    cli.add_argument("out", metavar="OUT", help="folder to write")
    cli.add_argument("--lists", required=True, metavar="DIR", help="folder with the three official lists")
    for name, default in (("train-list", "Anomaly_Train.txt"), ("test-list", "Anomaly_Test.txt"),
                          ("annotation", "Temporal_Anomaly_Annotation.txt")):  # fmt: skip
        cli.add_argument(f"--{name}", default=default, metavar="FILE", help="name of a file in it, or a path")
    cli.add_argument("--copy", action="store_true", help="copy the files instead of linking them")


@_described
def demo_detection(cli: Parser) -> None:
    """Make the demonstration set: small videos with six actions, three pairs that are each other's reversal in time."""
    cli.add_argument("--out", type=Path, default=Path("data/demo"), metavar="DIR", help="folder of the set")
    cli.add_argument("--videos", type=int, default=40, metavar="N", help="number of videos")
    cli.add_argument("--seed", type=int, default=0, help="seed of everything random")
    cli.add_argument("--train-ratio", type=float, default=0.6, metavar="P", help="part of the videos to train on")
    cli.accept("--training", "--train-ratio")
    cli.add_argument("--overwrite", action="store_true", help="make the set again if it exists")


@_described
def demo_clips(cli: Parser) -> None:
    """Make a generated set of short clips of four classes, and a tiny random CLIP model.

    Below --out: videos/ with a folder per class, annotations/train.txt and annotations/test.txt with a file and a label
    per line, tower.json and tower.safetensors.
    """
    _add_generated_arguments(cli, "data/demo_clips", train=12, test=8)


@_described
def demo_features(cli: Parser) -> None:
    """Make a generated set of features with known classes and events, and a tiny random CLIP model they belong to.

    Below --out: train/ and test/ with class folders of .npy files, annotations/, Temporal_Anomaly_Annotation.txt and
    test_videos.txt as UCF-Crime has them, tower.json and tower.safetensors, and prompts.json with a sentence per class.
    """
    _add_generated_arguments(cli, "data/demo_features", train=8, test=4)
    cli.add_argument(
        "--noise", type=float, default=0.15, metavar="X", help="deviation of every number of a feature of length 1"
    )


@_described
def demo_surveillance(cli: Parser) -> None:
    """Make a generated set of surveillance videos with captions, moving boxes and events, and a tiny CLIP model.

    Below --out: Videos/ with a folder per class, train.json and test.json with captions and keyframed boxes, the lists
    and the temporal annotation of the test videos as UCF-Crime has them, tower.json and tower.safetensors.
    """
    _add_generated_arguments(cli, "data/demo_surveillance", train=48, test=12)
    forms = ("list", "late_list", "dict", "nested_dict")
    cli.add_argument("--forms", nargs="+", choices=forms, default=["list"], help="forms of the annotation")


# ----- studies


@_described
def few_shot(cli: Parser) -> None:
    """Train with K videos per class, for several K and several random choices of them; mean and spread on the test set.

    Every pair (K, seed) is a run of its own below WORK_DIR/few_shot; typed again, the command leaves out what is
    finished and resumes what is not. A run of other data or weights is refused, numbers of another test set are made
    anew. The tables few_shot.txt, few_shot.csv and few_shot.json lie there too.
    """
    add_config_arguments(cli)
    cli.add_argument("--shots", nargs="+", type=int, metavar="K", default=[1, 2, 4, 8, 16], help="videos of a class")
    cli.add_argument("--seeds", nargs="+", type=int, metavar="S", default=[0, 1, 2], help="of choice and training")
    cli.add_argument(
        "--val-shots", type=int, metavar="N", help="videos of a class to validate on (default: K, up to 4)"
    )
    add_work_dir_argument(cli)
    add_device_argument(cli)


@_described
def base_to_new(cli: Parser) -> None:
    """Train on the first half of the classes, and evaluate on those and on the other half, which training never saw.

    The base classes are the first half of the labels, rounded up, the new ones the rest; either is told apart among its
    own classes alone. The harmonic mean of both accuracies goes with them (CoCoOp, Zhou et al., CVPR 2022). All files
    lie in WORK_DIR/base_to_new/seed<SEED>.
    """
    add_config_arguments(cli)
    add_device_arguments(cli)
    cli.add_argument(
        "--checkpoint", metavar="P", help="weights learned on the base classes (default: they are trained)"
    )
    add_work_dir_argument(cli)
    cli.add_argument("--out", metavar="JSON", help="the numbers (default: base_to_new.json in the folder of the run)")


@_described
def mixture(cli: Parser) -> None:
    """Mix several trained models: the weighted mean of the probabilities that they give the classes of every video.

    A member is a folder models/METHOD/DATASET/RUN (config.json and checkpoint.pth), the folder of a run
    (resolved_config.py and checkpoint/best.pth), or CONFIG=CHECKPOINT. All must see the same videos and classes.
    """
    cli.add_argument("--member", nargs="+", required=True, metavar="RUN", help="folders, or CONFIG=CHECKPOINT")
    cli.add_argument("--weights", nargs="+", type=float, metavar="W", help="one each, in any unit (default: all equal)")
    cli.add_argument("--split", default="test", metavar="S", help="which videos")
    cli.add_argument("--out", default="exps/mixture", metavar="DIR", help="folder of mixture.json and metric files")
    add_override_argument(cli, "overrides of existing keys of all configs")
    add_device_arguments(cli)


# ----- help


@_described
def demo(cli: Parser) -> None:
    """The demonstration: make the data, train a pair (experiment 1) and a fusion from it (3-3), show what they find.

    A second call resumes where the first one ended.
    """
    cli.add_argument("--out", type=Path, default=Path("exps/demo"), metavar="DIR", help="folder of results")
    cli.add_argument("--data", type=Path, default=Path("data/demo"), metavar="DIR", help="folder of the set")
    cli.add_argument("--seed", type=int, default=42, help="seed of the training")


@_described
def doctor(cli: Parser) -> None:
    """Check the installation (packages, devices, video decoding, configs), or whether a CONFIG is ready to train.

    Of a config, a line each for captions, boxes, files, weights, a trial step, memory and disk. Exit code 0: nothing is
    in the way; 1: something is, and the line says what to do.
    """
    cli.add_argument("config", nargs="?", metavar="CONFIG", help="config file or name (default: the installation)")
    add_override_argument(cli)
    cli.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    cli.add_argument("--fast", action="store_true", help="decode no frames and build no model")
    _add_workers_argument(cli)
    add_device_arguments(cli)


@_described
def config_list(cli: Parser) -> None:
    """List the shipped configs, by their folders, with what they say of themselves."""
    cli.add_argument("word", nargs="?", metavar="WORD", help="only those with this in their name or in what they say")


@_described
def config_show(cli: Parser) -> None:
    """Print a config with all that it takes from others, as a config that can be saved and trained."""
    add_config_arguments(cli)
    cli.add_argument("--origin", action="store_true", help="say behind every value which file, or option, it is from")


@_described
def config_copy(cli: Parser) -> None:
    """Write a config of your own that is an edit of another."""
    cli.add_argument("config", metavar="CONFIG", help=_NAME)
    cli.add_argument("folder", type=Path, metavar="DIR", help="folder to write it to; nothing there is replaced")
    cli.add_argument("--flat", action="store_true", help="write out all that it says, based on no other file")


@_described
def debug_prompts(cli: Parser) -> None:
    """Can prompts be learned on these features?  Data, prompts, text features and gradients, one line each.

    Give a CONFIG, or the options of `custom_prompt_training`. The exit code is 1 if a line is an error. --out gets a
    heat map of the cosines between the classes' text features, and the table as JSON.
    """
    from .aliases import core, custom_prompts  # they take the arguments above

    cli.add_argument("config", nargs="?", metavar="CONFIG", help="config (default: that of custom_prompt_training)")
    core.add_flags(cli, custom_prompts.DATA_FLAGS, required=False)
    cli.add_argument("--steps", type=int, default=20, metavar="N", help="optimizer steps to run")
    cli.add_argument("--out", metavar="DIR", default="exps/debug_prompts", help="folder of heat map and table")
    add_override_argument(cli, "further keys of the config")
    add_device_arguments(cli)
