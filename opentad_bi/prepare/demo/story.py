"""What happens in a video of the demonstration set: curves over time for a door, a ball and a lamp.

Every class has a partner that is its exact reversal in time, so a single frame says nothing about the pair:
Open / Close (a door), Rise / Fall (a ball), Flash / Charge (a lamp: a sudden light that fades away, a light that grows
out of nothing and goes out suddenly).  T frames of one video.
"""

from dataclasses import dataclass, field

import numpy as np

CLASSES = ("Open", "Close", "Rise", "Fall", "Flash", "Charge")


@dataclass(frozen=True)
class DemoStyle:
    """Everything that makes the demonstration set easier or harder.

    Args:
        size: side of the square frames, pixels.
        fps: frames per second.
        video_sec: shortest and longest video, seconds.
        action_sec: shortest and longest action, seconds.
        gap_sec: shortest and longest time between two actions, seconds.
        extent: least and most of its range that a door or ball covers in an action.
        ease: exponent of the movement; 1 has sharp ends, above 1 one end of the movement is slow and hard to place.
        fade: how many time constants a Flash has faded over when its annotation ends; small values leave light after
            it, and the spread between the two is what makes the end vague.
        lamp: brightness of the lamp, grey values 0 to 255.
        contrast: difference between things and background, grey values.
        tint: how much the colours of things and wall differ between videos, as a share of their own colour.
        noise: standard deviation of the noise of every pixel in every frame, grey values.
        texture: standard deviation of the still background, grey values.
        clutter: fewest still shapes on the wall, and one more than the most.
        distractors_per_sec: how often something happens that is no action (rattle, sideways roll, bounce, blink,
            flicker), also beside actions.
        shake: chance per frame that the picture jumps by one pixel.
    """

    size: int = 48
    fps: int = 25
    video_sec: tuple = (22.0, 40.0)
    action_sec: tuple = (1.0, 4.0)
    gap_sec: tuple = (0.8, 2.4)
    extent: tuple = (0.5, 0.9)
    ease: tuple = (1.0, 1.5)
    fade: tuple = (1.4, 2.2)
    lamp: tuple = (80.0, 130.0)
    contrast: tuple = (70.0, 110.0)
    tint: float = 0.1
    noise: float = 6.0
    texture: float = 6.0
    clutter: tuple = (2, 6)
    distractors_per_sec: float = 0.25
    shake: float = 0.02

    def __post_init__(self):
        if self.size < 16 or self.size % 2:
            raise ValueError(f"size must be an even number of at least 16 pixels, got {self.size}")
        if self.video_sec[0] < 2 + self.gap_sec[1] + self.action_sec[1]:
            raise ValueError(f"a video of {self.video_sec[0]} s has no room for a gap, an action and 2 s more")


@dataclass
class Story:
    """Curves of one video, each float32 (T,) in 0 to 1, and its actions as (first, stop, class name) in frames."""

    door: np.ndarray
    ball_x: np.ndarray
    ball_y: np.ndarray
    lamp: np.ndarray
    actions: list = field(default_factory=list)

    def __len__(self):
        return len(self.door)


def tell(rng, style):
    """Invent a video: actions one after the other with pauses, distractors in between and beside them."""
    count = round(rng.uniform(*style.video_sec) * style.fps)
    curves = [np.full(count, start, np.float32) for start in (*rng.uniform(0.05, 0.95, 3), 0.0)]
    story = Story(*curves)
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
    """Draw an action of the door or the ball into the story; return its class."""
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
    """Add movements and lights that are no actions, where their thing has nothing else to do."""
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
