"""A small generated set of features with known classes and events, in the layout of UCF-Crime's.

T seconds of a video, D width of a feature
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...ops.names import class_key
from ...utils.files import atomic, write_text
from ..layout import start_generated
from ..ucf_crime import ANNOTATION, CLASSES, FPS, TEST_VIDEOS, write_event_tables

SPLITS = ("train", "test")
_SHARED = 0.6  # part of the direction that all anomalies have in common; 0.8 is the class's own
_BACKGROUND = 0.5  # length of what is the same in all rows of one video


def make_demo_features(
    folder: Path | str,
    *,
    classes: Sequence[str] = CLASSES,
    dim: int = 512,
    train_videos: int = 8,
    test_videos: int = 4,
    seconds: tuple[int, int] = (24, 60),
    seed: int = 0,
    noise: float = 0.15,
    overwrite: bool = False,
) -> dict:
    """Write generated features of videos of all `classes` to `folder`.  Returns the content of demo.json.

    folder/{train,test}/<class>/<video>.npy (T, D) float16 with a row per second, events of both splits as
    folder/annotations/{train,test}/<class>.csv, folder/Temporal_Anomaly_Annotation.txt in frames at 30 per second and
    folder/test_videos.txt as UCF-Crime has them, folder/demo.json. A row is a direction plus what is the same in its
    video plus noise, of length 1. The direction is that of the normal class (first of `classes`), and inside an event
    0.8 of that of the class and 0.6 of one that all anomalies share. Anomalous videos have one event or two.

    Args:
        classes: names, the normal one first.
        dim: D.
        train_videos, test_videos: videos per class; the normal one has half as many as all others together.
        seconds: shortest and longest T.
        seed: a video depends on `seed`, its name, `dim`, `seconds` and `noise` alone.
        noise: standard deviation of every number, the direction being of length 1.
    Raises:
        FileExistsError: there is something in `folder` already.
        ValueError: `classes` without 'Normal' first, sizes that are too small.
    """
    shortest, longest = seconds
    if class_key(classes[0]) != "normal" or len(classes) < 2:
        raise ValueError(f"classes {list(classes)}: 'Normal' first and at least one more are expected")
    if not 12 <= shortest <= longest or min(dim, train_videos, test_videos) < 1 or noise < 0:
        raise ValueError(
            f"seconds {seconds} must be two numbers from 12 on; dim {dim}, train_videos {train_videos} and test_videos "
            f"{test_videos} at least 1; noise {noise} at least 0"
        )
    record = {"classes": list(classes), "dim": dim, "train_videos": train_videos, "test_videos": test_videos}
    record |= {"seconds": [shortest, longest], "seed": seed, "noise": noise}
    patterns = [pattern for split in SPLITS for pattern in (f"{split}/*/*.npy", f"annotations/{split}/*.csv")]
    folder = start_generated(folder, record, "features", patterns, overwrite=overwrite)
    directions = [_direction(dim, seed, name) for name in (*classes, "")]
    begin = [0] * len(classes)
    for split, count in zip(SPLITS, (train_videos, test_videos), strict=True):
        counts = [-(-count * (len(classes) - 1) // 2)] + [count] * (len(classes) - 1)
        _write_split(folder, split, record, directions, list(zip(begin, counts, strict=True)))
        begin = counts
    return record


def _write_split(folder, split, record, directions, numbers):
    """Write one split; `directions`: (D,) of every class, then the one that anomalies share.

    `numbers`: (first number, how many) of the videos of every class.
    """
    videos, events = {}, {}
    for label, (name, (begin, count)) in enumerate(zip(record["classes"], numbers, strict=True)):
        for number in range(begin + 1, begin + count + 1):
            video = f"{name}{number:03d}_x264"
            rng = _rng(record["seed"], video)
            length = int(rng.integers(record["seconds"][0], record["seconds"][1] + 1))
            own = _events(rng, length) if label else []
            rows = _rows(rng, length, own, [directions[k] for k in (0, label, -1)], record["noise"])
            with atomic(folder / split / name / f"{video}.npy") as temporary:
                np.save(temporary, rows)
            videos[video], events[video] = name, own
    _write_events(folder, split, videos, events)


def _rng(seed, name):
    """A source of random numbers that depends on `seed` and `name` alone."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _direction(dim, seed, name):
    """A direction of length 1; no two names have the same."""
    vector = _rng(seed, f"direction {name}").standard_normal(dim)
    return vector / np.linalg.norm(vector)


def _events(rng, length):
    """One event or two, apart, in whole seconds.  Returns a list of (start, end)."""
    halves = [(1, length - 1)] if rng.random() < 0.5 else [(1, length // 2 - 1), (length // 2 + 1, length - 1)]
    events = []
    for low, high in halves:
        size = int(rng.integers(max(2, (high - low) // 3), (high - low) * 2 // 3 + 1))
        start = int(rng.integers(low, high - size + 1))
        events.append((start, start + size))
    return events


def _rows(rng, length, events, directions, noise):
    """The features of one video.  Returns float16 (T, D)."""
    normal, own, shared = directions
    background = rng.standard_normal(len(normal))
    rows = np.tile(normal + _BACKGROUND * background / np.linalg.norm(background), (length, 1))
    for start, end in events:
        rows[start:end] += np.sqrt(1 - _SHARED**2) * own + _SHARED * shared - normal
    rows += noise * rng.standard_normal(rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def _write_events(folder, split, videos, events):
    """Events in seconds, and of the test split in frames, in the official form."""
    frames = {video: tuple((start * FPS, end * FPS) for start, end in own) for video, own in events.items()}
    write_event_tables(folder / "annotations" / split, videos, frames, normal=next(iter(videos.values())))
    if split == "test":
        lines = []
        for video, name in videos.items():
            times = [*(time for pair in frames[video] for time in pair), -1, -1, -1, -1][:4]
            lines.append("  ".join(map(str, (f"{video}.mp4", name, *times))) + "  \n")
        write_text(folder / ANNOTATION, "".join(lines))
        write_text(folder / TEST_VIDEOS, "".join(f"{video}\n" for video in videos))
