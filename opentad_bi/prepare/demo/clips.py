"""A small generated set of short clips with one action each, for classification: real video files in minutes."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...utils.files import write_text
from ..h264 import write_pictures
from ..layout import start_generated
from .things import DemoStyle, Story, paint

STYLE = DemoStyle(
    size=48, noise=4.0, texture=2.0, tint=0.02, shake=0.0, clutter=(0, 1), contrast=(100.0, 120.0), lamp=(120.0, 140.0)
)
# class: the thing that is seen, and what it does
CLASSES = {"Open": "door", "Rise": "ball", "Roll": "ball", "Flash": "lamp"}
FRAMES = (16, 33)  # shortest clip and one more than the longest


def make_demo_clips(
    out: Path | str, *, train: int = 12, test: int = 8, seed: int = 0, overwrite: bool = False
) -> dict[str, int]:
    """Write clips of the four `CLASSES` to the folder `out`.

    out/videos/<class>/<class>_<number>.mp4, and out/annotations/{train,test}.txt with lines "<class>/<file> <label>". A
    clip shows one thing before a wall: a door that opens, a ball that rises, a ball that rolls, a lamp that flashes.

    Args:
        train, test: clips per class.
        seed: a clip depends on `seed`, its class and its number alone.
    Returns:
        {"train": number of clips, "test": number of clips}.
    Raises:
        FileExistsError: there is something in `out` already.
        ValueError: a split without clips.
    """
    if min(train, test) < 1:
        raise ValueError(f"both splits need a clip of each class: got train={train}, test={test}")
    record = {"classes": list(CLASSES), "train": train, "test": test, "seed": seed}
    patterns = [f"videos/{name}/{name}_*.mp4" for name in CLASSES]
    out = start_generated(out, record, "clips", patterns, overwrite=overwrite)
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for label, name in enumerate(CLASSES):
        for number in tqdm(range(train + test), desc=name, unit="clip"):
            path = Path(name, f"{name}_{number + 1:03d}.mp4")
            rng = np.random.default_rng([seed, label, number])
            pictures = paint(_story(name, rng), rng, STYLE, seen=(CLASSES[name],))
            write_pictures(out / "videos" / path, pictures, size=(STYLE.size, STYLE.size), fps=STYLE.fps)
            lines["train" if number < train else "test"].append(f"{path.as_posix()} {label}\n")
    for split, own in lines.items():
        write_text(out / "annotations" / f"{split}.txt", "".join(own))
    return {split: len(own) for split, own in lines.items()}


def _story(name, rng):
    """The curves of one clip; what does not move in it stands at its middle."""
    count = int(rng.integers(*FRAMES))
    u = np.linspace(0, 1, count, dtype=np.float32) ** np.float32(rng.uniform(0.8, 1.25))
    low, high = rng.uniform(0.05, 0.2), rng.uniform(0.8, 0.95)
    path = (low + (high - low) * u).astype(np.float32)
    half, dark = np.full(count, 0.5, np.float32), np.zeros(count, np.float32)
    if name == "Open":
        return Story(path, half, half, dark)
    if name == "Rise":
        return Story(half, half, path, dark)
    if name == "Roll":
        sideways = 0.5 + (path - 0.5) * 3 * rng.choice([-1, 1])
        return Story(half, sideways.astype(np.float32), np.full(count, 0.1, np.float32), dark)
    return Story(half, half, half, np.exp(-2 * u).astype(np.float32))
