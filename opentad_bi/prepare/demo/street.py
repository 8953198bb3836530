"""A street before a surveillance camera: what the generated surveillance videos show, and how it is painted.

A `Scene` says what moves where and what is written of it; `paint` turns it into pictures. A thing follows straight
lines between knots, so boxes interpolated between keyframes are exactly where it is.
T frames of a video, n knots of a thing; boxes are x1, y1, x2, y2 in pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

RGB = {"red": (215, 40, 40), "blue": (40, 70, 225), "yellow": (225, 210, 50), "white": (240, 240, 240)}
WIDTH, HEIGHT, FPS = 128, 80, 25  # a width of 128: x264 lets what lies behind shorter rows of colour into the picture
# width and height of the shapes
SIZES = {"fire": (40, 44), "fight": (42, 36), "wreck": (50, 44), "thief": (32, 34), "person": (14, 33), "car": (42, 20)}
_CAMERAS = 4  # different views: what happens does not follow from where
_NOISE, _FIELDS = 4.0, 24  # standard deviation of the noise in grey values; different fields of it
_GREEN, _SKIN, _GLASS, _WHEEL, _SMOKE = (40, 190, 60), (205, 160, 130), (150, 185, 200), (25, 25, 25), (60, 55, 60)
_BLOW, _CROSSES = (255, 60, 220), (cv2.MARKER_CROSS, cv2.MARKER_TILTED_CROSS)


@dataclass(frozen=True, slots=True)
class Track:
    """A thing in the picture.

    Args:
        shape: one of `SIZES`.
        colours: two names of colours; most shapes have the first alone.
        frames: (n,) of the knots, ascending.
        boxes: (n, 4).
        hidden: (n,) bool: is it out of sight after that knot?
        stop: one more than its last frame.
    """

    shape: str
    colours: tuple[str, str]
    frames: np.ndarray
    boxes: np.ndarray
    hidden: np.ndarray
    stop: int

    def boxes_at(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T,) -> boxes float (T, 4), and whether it is visible, bool (T,)"""
        boxes = np.stack([np.interp(frames, self.frames, side) for side in self.boxes.T], axis=1)
        last = np.searchsorted(self.frames, frames, side="right") - 1
        at_knot = frames == self.frames[np.maximum(last, 0)]
        seen = (last >= 0) & (frames < self.stop) & (at_knot | ~self.hidden[last])
        return boxes, seen

    def intervals(self) -> list[tuple[int, int]]:
        """Pairs (start, stop) of frames in which it is visible without a break."""
        _, seen = self.boxes_at(np.arange(self.stop))
        edges = np.flatnonzero(np.diff(np.concatenate([[0], seen, [0]])))
        return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


@dataclass(frozen=True, slots=True)
class Scene:
    """One video: its length, its things from back to front, pairs of frames that are anomalous, and its texts.

    `regions` are dicts as an annotation file has them: caption, keyframes with `frame`, `bbox` relative to the picture
    (0 to 1) and `enabled`, and where they are given `start_frame` and `end_frame`, both included.
    """

    length: int
    tracks: tuple[Track, ...]
    events: list[tuple[int, int]]
    caption: str
    regions: list[dict]


def paint(scene: Scene, rng: np.random.Generator, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield the frames of a `Scene`, uint8 (HEIGHT, WIDTH, 3) RGB each; `seed` is that of the cameras."""
    view = _view(np.random.default_rng([seed, int(rng.integers(_CAMERAS))])) + int(rng.integers(-12, 13))
    fields = rng.normal(0, _NOISE, (_FIELDS, HEIGHT, WIDTH, 3)).round().astype(np.int16)
    paths = [(track, *track.boxes_at(np.arange(scene.length))) for track in scene.tracks]
    for frame in range(scene.length):
        picture = view.copy()
        for track, boxes, seen in paths:
            if seen[frame]:
                DRAWERS[track.shape](picture, boxes[frame], [RGB[name] for name in track.colours], rng)
        noisy = picture + fields[rng.integers(_FIELDS)]
        yield np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)


def _view(rng):
    """A wall above a street, with smooth texture and a few still shapes.  int16 (HEIGHT, WIDTH, 3)"""
    coarse = rng.normal(0, 7, (5, 8, 3)).astype(np.float32)
    view = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    wall = int(rng.integers(20, 32))
    view[:wall] += rng.uniform(115, 150) * rng.normal(1, 0.03, 3)
    view[wall:] += rng.uniform(85, 110) * rng.normal(1, 0.03, 3)
    for _ in range(rng.integers(2, 5)):
        left, width = rng.integers(0, WIDTH - 8), rng.integers(6, 16)
        view[3 : wall - 3, left : left + width] += rng.uniform(-35, 35)
    return view.astype(np.int16)


def _fill(picture, left, top, right, bottom, colour):
    cv2.rectangle(picture, (round(left), round(top)), (round(right) - 1, round(bottom) - 1), colour, -1)


def _person(picture, box, colours, rng):
    """A head, a body in the first colour, and legs that move."""
    x1, y1, x2, y2 = box.tolist()
    width, height, middle = x2 - x1, y2 - y1, (x1 + x2) / 2
    cv2.circle(picture, (round(middle), round(y1 + 0.13 * height)), max(1, round(0.13 * height)), _SKIN, -1)
    stride = width * rng.uniform(0.1, 0.4)
    for side in (-1, 1):
        _fill(picture, middle + side * stride - 1.5, y1 + 0.7 * height, middle + side * stride + 1.5, y2, _WHEEL)
    _fill(picture, x1 + 0.1 * width, y1 + 0.26 * height, x2 - 0.1 * width, y1 + 0.75 * height, colours[0])


def _car(picture, box, colours, rng):
    """A body in the first colour with windows and wheels."""
    x1, y1, x2, y2 = box.tolist()
    width, height = x2 - x1, y2 - y1
    _fill(picture, x1 + 0.2 * width, y1, x2 - 0.2 * width, y1 + 0.5 * height, colours[0])
    _fill(picture, x1 + 0.27 * width, y1 + 0.12 * height, x2 - 0.27 * width, y1 + 0.4 * height, _GLASS)
    _fill(picture, x1, y1 + 0.4 * height, x2, y1 + 0.85 * height, colours[0])
    for at in (0.22, 0.78):
        cv2.circle(picture, (round(x1 + at * width), round(y1 + 0.82 * height)), round(0.17 * height), _WHEEL, -1)


def _wreck(picture, box, colours, rng):
    """A car below puffs of smoke and sparks."""
    x1, y1, x2, y2 = box.tolist()
    width, height = x2 - x1, y2 - y1
    _car(picture, np.array([x1, y1 + 0.55 * height, x2, y2]), colours, rng)
    for at in np.linspace(0.2, 0.8, 6):
        puff = (round(x1 + (at + rng.uniform(-0.04, 0.04)) * width), round(y1 + rng.uniform(0.19, 0.5) * height))
        cv2.circle(picture, puff, round(rng.uniform(0.13, 0.18) * height), _SMOKE, -1)
    for _ in range(6):
        spark = (round(rng.uniform(x1, x2 - 2)), round(rng.uniform(y1 + 0.5 * height, y2 - 2)))
        cv2.circle(picture, spark, 1, (255, 235, 90), -1)


def _fire(picture, box, colours, rng):
    """Flickering orange and yellow tongues."""
    x1, y1, x2, y2 = box.tolist()
    for scale, colour in ((1.0, (235, 90, 20)), (0.6, (250, 190, 40))):
        reach = (y2 - y1) * scale
        xs = np.linspace(x1, x2, 8) * scale + (1 - scale) * (x1 + x2) / 2
        tips = y2 - reach * rng.uniform(0.45, 1.0, 8)
        tips[1::2] = y2 - reach * rng.uniform(0.2, 0.5, 4)
        outline = np.stack([np.append(xs, [xs[-1], xs[0]]), np.append(tips, [y2, y2])], axis=1)
        cv2.fillPoly(picture, [outline.round().astype(np.int32)], colour)


def _fight(picture, box, colours, rng):
    """Two people who shake against each other, in both colours, with arms and blows between them."""
    x1, y1, x2, y2 = box.tolist()
    width, height = x2 - x1, y2 - y1
    for n, colour in enumerate(colours):
        left = x1 + width * (0.08 + 0.42 * n + rng.uniform(-0.08, 0.08))
        _person(picture, np.array([left, y1 + rng.uniform(0, 0.12) * height, left + 0.42 * width, y2]), [colour], rng)
    for _ in range(3):
        ends = [(round(x1 + width * at), round(y1 + height * rng.uniform(0.1, 0.7))) for at in (0.2, 0.8)]
        cv2.line(picture, *ends, _SKIN, 2)
    for _ in range(3):
        blow = (round(x1 + width * rng.uniform(0.3, 0.7)), round(y1 + height * rng.uniform(0.15, 0.6)))
        cv2.drawMarker(picture, blow, _BLOW, int(rng.choice(_CROSSES)), round(0.3 * height), 2)


def _thief(picture, box, colours, rng):
    """A person with a green box before the body."""
    x1, y1, x2, y2 = box.tolist()
    width, height = x2 - x1, y2 - y1
    _person(picture, np.array([x1, y1, x1 + 0.5 * width, y2]), colours, rng)
    _fill(picture, x1 + 0.42 * width, y1 + 0.3 * height, x2, y1 + 0.72 * height, _GREEN)


DRAWERS = {"person": _person, "car": _car, "wreck": _wreck, "fire": _fire, "fight": _fight, "thief": _thief}
