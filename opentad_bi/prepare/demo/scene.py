"""Paint the story of a demonstration video: a door, a ball and a lamp before a noisy wall.

T frames, S = side of the square frames; grey values are float32 until the end.
"""

from dataclasses import dataclass

import numpy as np

COLOURS = {"door": (0.2, 0.5, 1.0), "ball": (-1.0, -0.6, -0.2), "lamp": (1.0, 0.9, 0.5)}  # added to the wall's
BLOCK = 128  # frames painted at once, which bounds memory


@dataclass(frozen=True)
class Look:
    """What stays the same in one video: wall, colours (3,), strips of the picture that the things are in."""

    wall: np.ndarray
    strips: dict
    colours: dict
    lamp_height: float


def draw_look(rng, style, seen=tuple(COLOURS)):
    """Invent the look of a video.  Each thing that is `seen` has a vertical strip; half of the videos are mirrored."""
    size = style.size
    things = seen if rng.random() < 0.5 else seen[::-1]
    strips = dict.fromkeys(COLOURS, size / 2)
    strips |= {thing: (n + 0.5) * size / len(things) + rng.uniform(-1, 1) for n, thing in enumerate(things)}
    colours = {thing: np.float32(colour) + rng.normal(0, style.tint, 3) for thing, colour in COLOURS.items()}
    for thing, strength in (("door", style.contrast), ("ball", style.contrast), ("lamp", style.lamp)):
        colours[thing] = (colours[thing] * rng.uniform(*strength) * (thing in seen)).astype(np.float32)
    return Look(_wall(rng, style), strips, colours, rng.uniform(0.35, 0.65) * size)


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


def paint(story, rng, style, seen=tuple(COLOURS)):
    """Yield the frames of a story, uint8 (S, S, 3) RGB each; of all things only those `seen` are in the picture."""
    look = draw_look(rng, style, seen)
    jumps = (rng.random((len(story), 2)) < style.shake) * rng.choice([-1, 1], (len(story), 2))
    shifts = np.clip(np.cumsum(jumps, axis=0), -2, 2)
    for first in range(0, len(story), BLOCK):
        part = slice(first, min(first + BLOCK, len(story)))
        frames = _paint_block(story, part, look, style)
        frames += rng.normal(0, style.noise, frames.shape).astype(np.float32)
        frames = np.clip(frames, 0, 255).astype(np.uint8)
        for frame, shift in zip(frames, shifts[part], strict=True):
            yield np.roll(frame, tuple(shift), axis=(0, 1))


def _paint_block(story, part, look, style):
    """Frames `part` without noise: float32 (T, S, S, 3)."""
    size = style.size
    y, x = np.mgrid[:size, :size].astype(np.float32)
    unit = size / 64
    t = slice(part.start, part.stop)
    frames = np.repeat(look.wall[None], t.stop - t.start, axis=0)
    frames += _door(story.door[t], x - look.strips["door"], y - size / 2, unit)[..., None] * look.colours["door"]
    ball_x = look.strips["ball"] + (story.ball_x[t] - 0.5) * 12 * unit
    ball_y = (0.85 - 0.7 * story.ball_y[t]) * size
    frames += _disc(ball_x, ball_y, x, y, 5 * unit)[..., None] * look.colours["ball"]
    glow = np.exp(-((x - look.strips["lamp"]) ** 2 + (y - look.lamp_height) ** 2) / (2 * (6 * unit) ** 2))
    frames += (story.lamp[t, None, None] * glow)[..., None] * look.colours["lamp"]
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
