"""A generated set of surveillance videos with captions, moving boxes and events, laid out as UCF-Crime's.

n knots of a thing; boxes are x1, y1, x2, y2 in pixels, in annotations relative to the picture
"""

import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from tqdm import tqdm

from ...utils.files import write_json, write_text
from ..h264 import write_pictures
from ..layout import start_generated
from ..ucf_crime import ANNOTATION
from .street import FPS, HEIGHT, RGB, SIZES, WIDTH, Scene, Track, paint

SPLITS = ("train", "test")
FORMS = ("list", "late_list", "dict", "nested_dict")  # of an annotation file, see `as_form`
LENGTH = (250, 351)  # frames of the shortest video, one more than of the longest
EVENT = (75, 141)  # frames of an event
# class: shape of the event's main thing
SHAPES = {"Arson": "fire", "Fighting": "fight", "RoadAccidents": "wreck", "Stealing": "thief"}
CLASSES = ("Normal", *SHAPES)
LISTS = {"train": "Anomaly_Train.txt", "test": "Anomaly_Test.txt"}
_NORMAL_FOLDERS = {"train": "Training_Normal_Videos_Anomaly", "test": "Testing_Normal_Videos_Anomaly"}
# Flags `enabled` of the keyframes of a track; "+": with end_frame after the last keyframe, ">": to the video's end,
# "." the event is marked at one frame alone. In TFTF the thing is out of sight between the second and the third.
PATTERNS = ("TF", "TTTF", "TFTF", "TTT+", "T+", "T>", "F.")
KNOTS = {"TF": (0, 1), "TTTF": (0, 0.2, 0.6, 1), "TFTF": (0, 0.4, 0.6, 1), "TTT+": (0, 0.25, 0.6), "F.": (0, 0.5, 1)}
COLOURS = tuple(RGB)

NORMAL = ("Nothing unusual happens in the street.", "nothing unusual happens in the street")
PASSERS = {
    "person": ("A person in {0} walks along the street.", "Somebody in {0} passes by."),
    "car": ("A {0} car drives along the street.", "A {0} car passes by."),
}

# class: captions of the whole video, of the event's main thing, and of the person beside it; {0} {1} are colours.
# Several wordings each, some without a colour on purpose.
TEXTS = {
    "Arson": {
        "video": (
            "A fire burns in the street.",
            "Flames rise and spread, a person in {1} is near.",
            "Somebody sets a fire.",
        ),
        "region": ("an orange fire grows", "flames rise from the ground", "An orange fire grows."),
        "person": ("a person in {1} walks away from the fire", "a person in {1} near the fire"),
    },
    "Fighting": {
        "video": (
            "Two people fight in the street.",
            "A fight between a person in {0} and a person in {1}.",
            "A person in {0} beats a person in {1}.",
        ),
        "region": ("a person in {0} fights with a person in {1}", "two people in {0} and {1} beat each other"),
        "person": ("a person in {1} walks by the fight", "a person in {1} near the fight"),
    },
    "RoadAccidents": {
        "video": ("A {0} car crashes.", "A car crashes in the street.", "An accident of a {0} car, smoke rises."),
        "region": ("a {0} car crashes and smokes", "smoke rises from a wrecked {0} car"),
        "person": ("a person in {1} walks away from the crash", "a person in {1} near the crash"),
    },
    "Stealing": {
        "video": (
            "A thief takes a box away.",
            "A person in {0} steals a green box.",
            "A thief in {0} carries a green box away.",
        ),
        "region": ("a thief in {0} carries a green box", "a person in {0} takes a green box away"),
        "person": ("a person in {1} walks by the thief", "a person in {1} near the thief"),
    },
}


def make_demo_surveillance(
    out: Path | str,
    *,
    train_videos: int = 48,
    test_videos: int = 12,
    seed: int = 0,
    forms: Sequence[str] = ("list",),
    overwrite: bool = False,
) -> dict[str, int]:
    """Write surveillance videos of the five `CLASSES`, with annotations, to the folder `out`.

    out/Videos/<class>/<class><number>_x264.mp4 and the two folders of normal videos, 128 x 80 pixels, 25 frames per
    second, 10 to 14 seconds; out/train.json and out/test.json: captions and regions with keyframed boxes as a list;
    out/Temporal_Anomaly_Annotation.txt: events of the test videos in frames; out/Anomaly_Train.txt and
    out/Anomaly_Test.txt: official lists; out/demo.json: the options. Normal videos are as many as all others together.

    Args:
        train_videos, test_videos: videos of every class of anomaly.
        seed: a video depends on `seed` and its name alone.
        forms: of the annotation, of `FORMS`; all but "list" become out/<split>_<form>.json.
    Returns:
        {"train": number of videos, "test": number of videos}.
    Raises:
        FileExistsError: there is something in `out` already.
        ValueError: a split without videos, an unknown form.
    """
    counts = {"train": train_videos, "test": test_videos}
    if min(counts.values()) < 1:
        raise ValueError(f"both splits need a video of each class: got {train_videos=}, {test_videos=}")
    if unknown := sorted(set(forms) - set(FORMS)):
        raise ValueError(f"forms of an annotation are {', '.join(FORMS)}; got {unknown[0]!r}")
    record = {"classes": CLASSES, **counts, "seed": seed, "forms": list(forms)}
    patterns = [f"Videos/{folder}/*_x264.mp4" for folder in (*SHAPES, *_NORMAL_FOLDERS.values())]
    patterns += [f"{split}_{form}.json" for split in SPLITS for form in FORMS]
    out = start_generated(out, record, "videos", patterns, overwrite=overwrite)
    paths = {"train": _paths("train", 1, train_videos), "test": _paths("test", train_videos + 1, test_videos)}
    for split in SPLITS:
        scenes: dict[Path, Scene] = {}
        for path, (name, number) in tqdm(paths[split].items(), desc=split, unit="video"):
            rng = np.random.default_rng([seed, zlib.crc32(path.stem.encode())])
            scenes[path] = random_scene(name, number, rng)
            planes = map(_planes, paint(scenes[path], rng, seed))
            target = out / "Videos" / path
            write_pictures(target, planes, size=(WIDTH, HEIGHT), fps=FPS, form="yuv420p", crf=23)
        _write_annotations(out, split, scenes, forms)
        write_text(out / LISTS[split], "".join(f"{path.as_posix()}\n" for path in scenes))
    names = {path: name for path, (name, _) in paths["test"].items()}
    write_text(out / ANNOTATION, "".join(_event_line(path, names[path], scene) for path, scene in scenes.items()))
    return {split: len(own) for split, own in paths.items()}


def _paths(split, first, count):
    """{path below Videos: (class, number)} of a split, `count` videos of every class of anomaly from number `first`."""
    numbers = range(first, first + count)
    paths = {Path(name, f"{name}{n:03d}_x264.mp4"): (name, n) for name in SHAPES for n in numbers}
    mark = "_" if split == "test" else ""  # as UCF-Crime numbers its normal videos
    for n in range(1, count * len(SHAPES) + 1):
        paths[Path(_NORMAL_FOLDERS[split], f"Normal_Videos{mark}{n:03d}_x264.mp4")] = (CLASSES[0], n)
    return paths


def _planes(picture):
    """RGB -> planes of yuv420p, several times faster than the writer's own conversion."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)


def _write_annotations(out, split, scenes, forms):
    """Write the captions and regions of a split, as a list and in the other `forms`."""
    entries = [
        {
            "f_path": f"UCF_Crimes_Videos/{path.name}",
            "global_caption": scene.caption,
            "bbox_info": scene.regions,
            "duration": scene.length / FPS,
        }
        for path, scene in scenes.items()
    ]
    for form in dict.fromkeys(("list", *forms)):
        write_json(out / (f"{split}.json" if form == "list" else f"{split}_{form}.json"), as_form(entries, form))


def _event_line(path, name, scene):
    """A line of the temporal annotation: two events at most, -1 for none."""
    times = [frame for event in scene.events for frame in event]
    return "  ".join(map(str, [path.name, name, *times, *[-1] * (4 - len(times))])) + "\n"


def as_form(entries: Sequence[dict], form: str) -> list | dict:
    """The content of an annotation file.

    Args:
        entries: dicts `f_path`, `global_caption`, `bbox_info` (regions, see `street.Scene`), `duration` in seconds.
        form: "list": as `entries`; "late_list": parallel lists of captions and boxes, without `enabled`; "dict": by
            video; "nested_dict": by video and segment, here one over all of it.
    """
    if form == "list":
        return [{name: value for name, value in entry.items() if name != "duration"} for entry in entries]
    if form == "late_list":
        return [_late(entry) for entry in entries]
    named = {PurePosixPath(entry["f_path"]): entry for entry in entries}
    if form == "dict":
        return {path.name: _described(entry) for path, entry in named.items()}
    return {
        path.name: {f"{path.stem}_1.mp4": {"timestamps": [[0.0, entry["duration"]]]} | _described(entry)}
        for path, entry in named.items()
    }


def _late(entry):
    boxes = [[{"frame": k["frame"], "bbox": k["bbox"]} for k in r["keyframes"]] for r in entry["bbox_info"]]
    return {
        "video": entry["f_path"],
        "global_caption": entry["global_caption"],
        "region_captions": [region["caption"] for region in entry["bbox_info"]],
        "box_infos": boxes,
        "timestamps": None,
    }


def _described(entry):
    return {"global": {"Caption": entry["global_caption"]}, "region": entry["bbox_info"]}


def random_scene(name: str, number: int, rng: np.random.Generator) -> Scene:
    """The scene of a video.

    Args:
        name: class, "Normal" or one of `SHAPES`.
        number: of the video; chooses the pattern of keyframes.
    """
    length = int(rng.integers(*LENGTH))
    passers = [_passer(rng, length) for _ in range(rng.integers(1, 4))]
    if name not in SHAPES:
        said = _choice(rng, PASSERS[passers[-1].shape]).format(*passers[-1].colours)
        regions = [{"caption": said, "keyframes": []}] if rng.random() < 0.5 else []
        return Scene(length, tuple(passers), [], said if rng.random() < 0.5 else _choice(rng, NORMAL), regions)
    pattern = PATTERNS[(number + 2 * list(SHAPES).index(name)) % len(PATTERNS)]
    long = int(rng.integers(*EVENT))
    start = length - long if pattern == "T>" else int(rng.integers(5, length - long - 5))
    colours = tuple(COLOURS[i] for i in rng.permutation(len(COLOURS))[:2])
    main = _main(rng, SHAPES[name], pattern, colours, (start, start + long))
    texts = {kind: _choice(rng, own).format(*colours) for kind, own in TEXTS[name].items()}
    regions = [_region(texts["region"], main, pattern)]
    tracks = [*passers, main]
    if rng.random() < 0.4:
        other = _walk(rng, "person", colours[::-1], (start, start + long))
        tracks.insert(len(passers), other)
        regions.append(_region(texts["person"], other, "TF"))
    return Scene(length, tuple(tracks), main.intervals(), texts["video"], regions)


def _choice(rng, items):
    return items[rng.integers(len(items))]


def _passer(rng, length):
    """A person or a car that crosses the picture at some time."""
    long = int(rng.integers(50, 121))
    start = int(rng.integers(0, length - long))
    colours = tuple(COLOURS[i] for i in rng.permutation(len(COLOURS))[:2])
    return _walk(rng, _choice(rng, ("person", "car")), colours, (start, start + long))


def _walk(rng, shape, colours, span):
    """A track along one straight line."""
    boxes = _boxes(rng, shape, np.array([0.0, 1.0]))
    frames = np.array([span[0], span[1] - 1])
    return Track(shape, colours, frames, boxes, np.array([False, False]), span[1])


def _main(rng, shape, pattern, colours, span):
    """The track of an event's main thing."""
    at = np.array(KNOTS.get(pattern, (0,)), float)
    frames = span[0] + np.round(at * (span[1] - 1 - span[0])).astype(int)
    hidden = np.array([pattern == "TFTF" and n == 1 for n in range(len(at))])
    return Track(shape, colours, frames, _boxes(rng, shape, at), hidden, span[1])


def _boxes(rng, shape, at):
    """Boxes (n, 4) inside the picture of a thing at the times `at` (n,) in 0 to 1 of its way.

    Fires grow on their spot, fights sway, wrecks come in fast and slow down, all others go their way.
    """
    size = np.array(SIZES[shape], float) * rng.uniform(0.85, 1.1)
    scale = 0.55 + 0.45 * at if shape == "fire" and len(at) > 1 else np.ones(len(at))
    way = {"fire": 0.0, "fight": 8.0, "wreck": 45.0}.get(shape, 60.0) * rng.choice([-1, 1])
    done = np.sqrt(at) if shape == "wreck" else at
    low, high = size[0] / 2 + max(0.0, -way), WIDTH - size[0] / 2 - max(0.0, way)
    x = rng.uniform(low, high) + way * done
    bottom = rng.uniform(HEIGHT - 22, HEIGHT - 2)
    half, height = scale * size[0] / 2, scale * size[1]
    boxes = np.stack([x - half, bottom - height, x + half, np.full(len(at), bottom)], axis=1)
    return np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])


def _region(caption, track, pattern):
    """A region of the annotation, see `Scene`."""
    flags = [letter == "T" for letter in pattern if letter in "TF"]
    knots = list(zip(track.frames.tolist(), track.boxes.tolist(), strict=True))
    if pattern == "F.":
        knots = knots[1:2]
    sides = [WIDTH, HEIGHT, WIDTH, HEIGHT]
    keyframes = [
        {"frame": frame, "bbox": [round(v / s, 4) for v, s in zip(box, sides, strict=True)], "enabled": flag}
        for (frame, box), flag in zip(knots, flags, strict=True)
    ]
    region = {"caption": caption, "keyframes": keyframes}
    if pattern in ("TF", "TTT+", "T+"):
        region |= {"start_frame": knots[0][0], "end_frame": track.stop - 1}
    return region
