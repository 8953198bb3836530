"""A demonstration set of surveillance videos with captions and regions.

One annotation of captioned regions in the four forms that such files come in.

A small generated set of surveillance videos with captions, moving boxes and events, laid out as UCF-Crime's.
"""

import zlib
from fractions import Fraction
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from tqdm import tqdm

from ...utils.files import atomic, list_folder, write_json, write_text
from ..h264 import H264Writer
from ..layout import holds_generated
from ..ucf_crime import ANNOTATION
from .surveillance_scene import paint
from .surveillance_story import FPS, HEIGHT, SHAPES, WIDTH, invent

FORMS = ("list", "late_list", "dict", "nested_dict")


def as_form(entries, form):
    """The content of an annotation file.

    Args:
        entries: dicts `f_path`, `global_caption`, `bbox_info` (regions, see `demo_surveillance_story.Scene`) and
            `duration` in seconds.
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


RECORD = "demo.json"
SPLITS = ("train", "test")
CLASSES = ("Normal", *SHAPES)
LISTS = {"train": "Anomaly_Train.txt", "test": "Anomaly_Test.txt"}
_NORMAL_FOLDERS = {"train": "Training_Normal_Videos_Anomaly", "test": "Testing_Normal_Videos_Anomaly"}


def make_demo_surveillance(out, *, train_videos=48, test_videos=12, seed=0, forms=("list",), overwrite=False):
    """Write surveillance videos of the five `CLASSES`, with annotations, to the folder `out`.

    out/Videos/<class>/<class><number>_x264.mp4 and the two folders of normal videos, 128 x 80 pixels, 25 frames per
    second, 10 to 14 seconds; out/train.json and out/test.json: captions and regions with keyframed boxes as a list;
    out/Temporal_Anomaly_Annotation.txt: events of the test videos in frames; out/Anomaly_Train.txt and
    out/Anomaly_Test.txt: official lists; out/demo.json: the options. Normal videos are as many as all others together.

    Args:
        out: folder.
        train_videos, test_videos: videos of every class of anomaly.
        seed: a video depends on `seed` and its name alone.
        forms: of the annotation, of `FORMS`; all but "list" become out/<split>_<form>.json.
        overwrite: make the set again if there is one.
    Returns:
        {"train": number of videos, "test": number of videos}.
    Raises:
        FileExistsError: there is something in `out` already.
        ValueError: a split without videos, a form that is none.
    """
    out, counts = Path(out), {"train": train_videos, "test": test_videos}
    if min(counts.values()) < 1:
        raise ValueError(f"both splits need a video of each class: got {train_videos=}, {test_videos=}")
    if unknown := sorted(set(forms) - set(FORMS)):
        raise ValueError(f"forms of an annotation are {', '.join(FORMS)}; got {unknown[0]!r}")
    record = {"classes": CLASSES, **counts, "seed": seed, "forms": list(forms)}
    _start(out, record, overwrite)
    write_json(out / RECORD, record)
    paths = {"train": _paths("train", 1, train_videos), "test": _paths("test", train_videos + 1, test_videos)}
    for split in SPLITS:
        scenes = {}
        for path, (name, number) in tqdm(paths[split].items(), desc=split, unit="video"):
            rng = np.random.default_rng([seed, zlib.crc32(path.stem.encode())])
            scenes[path] = invent(name, number, rng)
            _write_video(out / "Videos" / path, scenes[path], rng, seed)
        _write_annotations(out, split, scenes, forms)
        write_text(out / LISTS[split], "".join(f"{path.as_posix()}\n" for path in scenes))
    names = {path: name for path, (name, _) in paths["test"].items()}
    write_text(out / ANNOTATION, "".join(_event_line(path, names[path], scene) for path, scene in scenes.items()))
    return {split: len(own) for split, own in paths.items()}


def _start(out, record, overwrite):
    """Make sure that `out` is new, or clear it of the videos and annotations that were generated there."""
    if holds_generated(out, RECORD, record, "videos", overwrite=overwrite):
        old = [out / f"{split}_{form}.json" for split in SPLITS for form in FORMS]
        for folder in (*SHAPES, *_NORMAL_FOLDERS.values()):
            old += list_folder(out / "Videos" / folder, "*_x264.mp4", absent=True)
        for path in old:
            path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)


def _paths(split, first, count):
    """{path below Videos: (class, number)} of a split, `count` videos of every class of anomaly from number `first`."""
    numbers = range(first, first + count)
    paths = {Path(name, f"{name}{n:03d}_x264.mp4"): (name, n) for name in SHAPES for n in numbers}
    mark = "_" if split == "test" else ""  # as UCF-Crime numbers its normal videos
    for n in range(1, count * len(SHAPES) + 1):
        paths[Path(_NORMAL_FOLDERS[split], f"Normal_Videos{mark}{n:03d}_x264.mp4")] = (CLASSES[0], n)
    return paths


def _write_video(path, scene, rng, seed):
    """Paint and encode a scene."""
    import av

    rate, size = Fraction(FPS), (WIDTH, HEIGHT)
    with (
        atomic(path) as temporary,
        H264Writer(temporary, size=size, rate=rate, time_base=1 / rate, crf=23, threads=1) as writer,
    ):
        for n, picture in enumerate(paint(scene, rng, seed)):
            planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)  # several times faster than the writer's own way
            writer.write(av.VideoFrame.from_ndarray(planes, format="yuv420p"), n, 1)


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
