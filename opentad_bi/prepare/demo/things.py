"""A door, a ball and a lamp before a noisy wall: what the demonstration sets of actions show, and how it is painted.

A `DemoStyle` says what the videos are like, a `Story` what happens in one of them; `paint` turns a story into frames.
T frames, S side of the square frames; grey values are float32 until the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

COLOURS = {"door": (0.2, 0.5, 1.0), "ball": (-1.0, -0.6, -0.2), "lamp": (1.0, 0.9, 0.5)}  # added to the wall's
BLOCK = 128  # frames painted at once, which bounds memory


@dataclass(frozen=True)
class DemoStyle:
    """Everything that makes a demonstration set easier or harder.

    Args:
        size: side of the square frames, pixels.
        fps: frames per second.
        video_sec: shortest and longest video, seconds.
        action_sec: shortest and longest action, seconds.
        gap_sec: shortest and longest time between two actions, seconds.
        extent: smallest and largest part of its range that a door or ball covers in an action.
        ease: exponent of the movement; 1 has sharp ends, above 1 one end of the movement is slow and hard to place.
        fade: how many time constants a Flash has faded over when its annotation ends; small values leave light after
            it, and the spread between the two is what makes the end vague.
        lamp: brightness of the lamp, grey values 0 to 255.
        contrast: difference between things and background, grey values.
        tint: how much the colours of things and wall differ between videos, relative to their own colour.
        noise: standard deviation of the noise of every pixel in every frame, grey values.
        texture: standard deviation of the still background, grey values.
        clutter: fewest still shapes on the wall, and one more than the most.
        distractors_per_sec: how often something happens that is not an action (rattle, sideways roll, bounce, blink,
            flicker), also beside actions.
        shake: probability per frame that the picture jumps by one pixel.
    Raises:
        ValueError: an odd or too small `size`, videos that are too short for an action.
    """

    size: int = 48
    fps: int = 25
    video_sec: tuple[float, float] = (22.0, 40.0)
    action_sec: tuple[float, float] = (1.0, 4.0)
    gap_sec: tuple[float, float] = (0.8, 2.4)
    extent: tuple[float, float] = (0.5, 0.9)
    ease: tuple[float, float] = (1.0, 1.5)
    fade: tuple[float, float] = (1.4, 2.2)
    lamp: tuple[float, float] = (80.0, 130.0)
    contrast: tuple[float, float] = (70.0, 110.0)
    tint: float = 0.1
    noise: float = 6.0
    texture: float = 6.0
    clutter: tuple[int, int] = (2, 6)
    distractors_per_sec: float = 0.25
    shake: float = 0.02

    def __post_init__(self) -> None:
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
    actions: list[tuple[int, int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.door)


def paint(
    story: Story, rng: np.random.Generator, style: DemoStyle, seen: tuple[str, ...] = tuple(COLOURS)
) -> Iterator[np.ndarray]:
    """Yield the frames of a story, uint8 (S, S, 3) RGB each; of all things only those `seen` are in the picture."""
    look = _look(rng, style, seen)
    jumps = (rng.random((len(story), 2)) < style.shake) * rng.choice([-1, 1], (len(story), 2))
    shifts = np.clip(np.cumsum(jumps, axis=0), -2, 2)
    for first in range(0, len(story), BLOCK):
        part = slice(first, min(first + BLOCK, len(story)))
        frames = _paint_block(story, part, look, style)
        frames += rng.normal(0, style.noise, frames.shape).astype(np.float32)
        frames = np.clip(frames, 0, 255).astype(np.uint8)
        for frame, shift in zip(frames, shifts[part], strict=True):
            yield np.roll(frame, tuple(shift), axis=(0, 1))


@dataclass(frozen=True)
class _Look:
    """What stays the same in one video: wall (S, S, 3), the middle of each thing's strip, colours (3,)."""

    wall: np.ndarray
    strips: dict[str, float]
    colours: dict[str, np.ndarray]
    lamp_height: float


def _look(rng, style, seen):
    """A random look.  Each thing that is `seen` has a vertical strip; half of the videos are mirrored."""
    size = style.size
    things = seen if rng.random() < 0.5 else seen[::-1]
    strips = dict.fromkeys(COLOURS, size / 2)
    strips |= {thing: (n + 0.5) * size / len(things) + rng.uniform(-1, 1) for n, thing in enumerate(things)}
    colours = {thing: np.float32(colour) + rng.normal(0, style.tint, 3) for thing, colour in COLOURS.items()}
    for thing, strength in (("door", style.contrast), ("ball", style.contrast), ("lamp", style.lamp)):
        colours[thing] = (colours[thing] * rng.uniform(*strength) * (thing in seen)).astype(np.float32)
    return _Look(_wall(rng, style), strips, colours, rng.uniform(0.35, 0.65) * size)


def _wall(rng, style):
    """Smooth random texture with a few still shapes.  float32 (S, S, 3)"""
    size = style.size
    coarse = rng.normal(0, style.texture, (size // 8 + 2, size // 8 + 2, 3))
    at = np.arange(size) / 8
    low, part = at.astype(int), (at % 1)[:, None, None]
    rows = coarse[low] * (1 - part) + coarse[low + 1] * part
    part = part.transpose(1, 0, 2)
    wall = 110 * rng.normal(1, style.tint, 3) + rows[:, low] * (1 - part) + rows[:, low + 1] * part
    for _ in range(rng.integers(*style.clutter)):
        top, left = rng.integers(0, size - size // 8, 2)
        height, width = rng.integers(size // 12, size // 4, 2)
        wall[top : top + height, left : left + width] += rng.uniform(-25, 25, 3)
    return wall.astype(np.float32)


def _paint_block(story, part, look, style):
    """Frames `part` without noise: float32 (T, S, S, 3)."""
    size = style.size
    y, x = np.mgrid[:size, :size].astype(np.float32)
    unit = size / 64
    frames = np.repeat(look.wall[None], part.stop - part.start, axis=0)
    frames += _door(story.door[part], x - look.strips["door"], y - size / 2, unit)[..., None] * look.colours["door"]
    ball_x = look.strips["ball"] + (story.ball_x[part] - 0.5) * 12 * unit
    ball_y = (0.85 - 0.7 * story.ball_y[part]) * size
    frames += _disc(ball_x, ball_y, x, y, 5 * unit)[..., None] * look.colours["ball"]
    glow = np.exp(-((x - look.strips["lamp"]) ** 2 + (y - look.lamp_height) ** 2) / (2 * (6 * unit) ** 2))
    frames += (story.lamp[part, None, None] * glow)[..., None] * look.colours["lamp"]
    return frames


def _door(openness, dx, dy, unit):
    """Two panels that slide apart: 1 where a panel covers the picture.  (T,), (S, S) -> (T, S, S)"""
    half_width, half_height = 9 * unit, 18 * unit
    gap = openness[:, None, None] * half_width
    panel = np.clip(np.abs(dx) - gap + 0.5, 0, 1)
    return panel * ((np.abs(dx) < half_width + 1) & (np.abs(dy) < half_height))


def _disc(centre_x, centre_y, x, y, radius):
    """A disc with a soft rim.  (T,), (T,), (S, S), (S, S) -> (T, S, S)"""
    away = np.hypot(x - centre_x[:, None, None], y - centre_y[:, None, None])
    return np.clip(radius - away + 0.5, 0, 1)
