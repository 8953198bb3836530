"""A generated detection set of real video files that a small network can learn on a CPU in minutes.

Every class has a partner that is its exact reversal in time, so a single frame says nothing about the pair:
Open / Close (a door), Rise / Fall (a ball), Flash / Charge (a lamp: a sudden light that fades away, a light that grows
out of nothing and goes out suddenly).  T frames of one video.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..h264 import write_pictures
from ..layout import SUBSETS, entry, finish_layout, start_layout
from .things import DemoStyle, Story, paint

CLASSES = ("Open", "Close", "Rise", "Fall", "Flash", "Charge")


def make_demo(
    out: Path | str,
    *,
    videos: int = 40,
    seed: int = 0,
    training: float = 0.6,
    style: DemoStyle | None = None,
    overwrite: bool = False,
) -> dict[str, dict]:
    """Write a set of `videos` videos in the THUMOS14 layout to the folder `out`; return its annotation database.

    Args:
        out: folder; gets raw_data/video_*.mp4, annotations/thumos_14_anno.json and annotations/category_idx.txt.
        seed: a video depends on `seed`, its number and `style` alone.
        training: fraction of the videos in the subset "training", the others are "validation".
        style: what the videos are like.
    Raises:
        FileExistsError: there is a set in `out` already.
        ValueError: a subset without videos.
    """
    if videos < 2 or not 0 < training < 1:
        raise ValueError(f"both subsets need a video: got videos={videos}, training={training}")
    style = style or DemoStyle()
    raw_data = start_layout(out, overwrite=overwrite)
    border = min(max(1, round(videos * training)), videos - 1)
    database = {}
    for n in tqdm(range(videos), desc=Path(out).name, unit="video"):
        subset = SUBSETS[n >= border]
        name = f"video_{subset}_{n + 1:07d}"
        rng = np.random.default_rng([seed, n])
        story = random_story(rng, style)
        size = (style.size, style.size)
        write_pictures(raw_data / f"{name}.mp4", paint(story, rng, style), size=size, fps=style.fps, gop=style.fps)
        database[name] = entry(subset, len(story), style.fps, story.actions)
    finish_layout(out, database, CLASSES)
    return database


def random_story(rng: np.random.Generator, style: DemoStyle) -> Story:
    """A random video: actions one after the other with pauses, distractors in between and beside them."""
    count = round(rng.uniform(*style.video_sec) * style.fps)
    door, ball_x, ball_y = (np.full(count, start, np.float32) for start in rng.uniform(0.05, 0.95, 3))
    story = Story(door, ball_x, ball_y, lamp=np.zeros(count, np.float32))
    busy = {"door": np.zeros(count, bool), "ball": np.zeros(count, bool), "lamp": np.zeros(count, bool)}
    things, lights = _bag(rng, ["door", "ball", "lamp"]), _bag(rng, ["Flash", "Charge"])
    first = _frames(rng, style.gap_sec, style)
    while (stop := first + _frames(rng, style.action_sec, style)) < count - style.fps // 2:
        thing = next(things)
        if thing == "lamp":
            name = next(lights)
            _shine(story.lamp, first, stop, name, rng, style)
        else:
            name = _move(story, thing, first, stop, rng, style)
        story.actions.append((first, stop, name))
        busy[thing][max(0, first - style.fps) : stop + style.fps] = True
        first = stop + _frames(rng, style.gap_sec, style)
    _distract(story, busy, rng, style)
    return story


def _frames(rng, seconds, style):
    return round(rng.uniform(*seconds) * style.fps)


def _bag(rng, names):
    """Yield `names` for ever, in a new order each round: random, but evenly used."""
    while True:
        yield from rng.permutation(names)


def _move(story, thing, first, stop, rng, style):
    """Add an action of the door or the ball to the story; return its class."""
    curve, up, down = (story.door, "Open", "Close") if thing == "door" else (story.ball_y, "Rise", "Fall")
    level = curve[first]
    room_up, room_down = 0.97 - level, level - 0.03
    rises = rng.random() < 0.5 if min(room_up, room_down) > style.extent[0] else room_up > room_down
    room = room_up if rises else room_down
    extent = min(rng.uniform(*style.extent), room)
    u = np.arange(1, stop - first + 1, dtype=np.float32) / (stop - first)
    ease = rng.uniform(*style.ease)
    # A fall is a rise played backwards: slow where the other is slow, at the lower end.
    path = extent * u**ease if rises else -extent * (1 - (1 - u) ** ease)
    curve[first:stop] = level + path
    curve[stop:] = curve[stop - 1]
    return up if rises else down


def _shine(lamp, first, stop, name, rng, style):
    """Flash: full light at `first` that fades and is annotated until `stop`; Charge: the reversal."""
    tau = (stop - first) / rng.uniform(*style.fade)
    t = np.arange(len(lamp), dtype=np.float32)
    since = t - first if name == "Flash" else stop - 1 - t
    light = np.where(since >= 0, np.exp(-np.maximum(since, 0) / tau), 0)
    np.maximum(lamp, light, out=lamp)


def _distract(story, busy, rng, style):
    """Add movements and lights that are not actions, where their thing has nothing else to do."""
    longest = round(1.6 * style.fps)
    many = rng.poisson(style.distractors_per_sec * len(story) / style.fps)
    for first in np.sort(rng.integers(0, len(story) - longest, many)).tolist():
        length = int(rng.integers(longest // 4, longest))
        part = slice(first, first + length)
        kind = rng.choice(["rattle", "roll", "bounce", "blink", "flicker"])
        thing = {"rattle": "door", "roll": "ball", "bounce": "ball"}.get(kind, "lamp")
        if busy[thing][part].any():
            continue
        busy[thing][part] = True
        u = np.linspace(0, 1, length, dtype=np.float32)
        bump = np.sin(np.pi * u) ** 2
        if kind == "rattle":
            story.door[part] += 0.2 * rng.choice([-1, 1]) * np.sin(2 * np.pi * rng.integers(1, 4) * u) * bump
        elif kind == "roll":
            target = rng.uniform(0.05, 0.95)
            story.ball_x[first:] += (target - story.ball_x[first]) * np.append(u, np.ones(len(story) - first - length))
        elif kind == "bounce":
            story.ball_y[part] += rng.choice([-1, 1]) * rng.uniform(0.15, 0.4) * bump
        elif kind == "blink":
            story.lamp[part] = np.maximum(story.lamp[part], rng.uniform(0.4, 1) * bump)
        else:
            story.lamp[part] = np.maximum(story.lamp[part], 0.8 * rng.random(length, np.float32))
