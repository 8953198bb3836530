"""What happens in a generated surveillance video, and what is said of it.

Colours and sentences of the generated surveillance set; several wordings each, some without a colour on purpose.

Invent what happens before a surveillance camera: things that move, one event, what is written of it and where.

A thing follows straight lines between knots, so boxes interpolated between keyframes are exactly where it is.
T frames of a video, n knots of a thing; boxes are x1, y1, x2, y2 in pixels.
"""

from dataclasses import dataclass

import numpy as np

RGB = {
    "red": (215, 40, 40),
    "blue": (40, 70, 225),
    "yellow": (225, 210, 50),
    "white": (240, 240, 240),
}
COLOURS = tuple(RGB)

NORMAL = ("Nothing unusual happens in the street.", "nothing unusual happens in the street")
PASSERS = {
    "person": ("A person in {0} walks along the street.", "Somebody in {0} passes by."),
    "car": ("A {0} car drives along the street.", "A {0} car passes by."),
}

# by class: what is said of the whole video, of the event's main thing, and of the person beside it; {0} {1} are colours
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
        "video": (
            "A {0} car crashes.",
            "A car crashes in the street.",
            "An accident of a {0} car, smoke rises.",
        ),
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


WIDTH, HEIGHT, FPS = 128, 80, 25  # a width of 128: x264 lets what lies behind shorter rows of colour into the picture
LENGTH = (250, 351)  # frames of the shortest video, one more than of the longest
EVENT = (75, 141)  # frames of an event
# shape of the event's main thing, by class; width and height of the shapes
SHAPES = {"Arson": "fire", "Fighting": "fight", "RoadAccidents": "wreck", "Stealing": "thief"}
SIZES = {"fire": (40, 44), "fight": (42, 36), "wreck": (50, 44), "thief": (32, 34), "person": (14, 33), "car": (42, 20)}
# Flags `enabled` of the keyframes of a lifespan; "+": with end_frame after the last keyframe, ">": to the video's end,
# "." the event is marked at one frame alone. In TFTF the thing is out of sight between the second and the third.
PATTERNS = ("TF", "TTTF", "TFTF", "TTT+", "T+", "T>", "F.")
KNOTS = {"TF": (0, 1), "TTTF": (0, 0.2, 0.6, 1), "TFTF": (0, 0.4, 0.6, 1), "TTT+": (0, 0.25, 0.6), "F.": (0, 0.5, 1)}


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
    colours: tuple
    frames: np.ndarray
    boxes: np.ndarray
    hidden: np.ndarray
    stop: int

    def boxes_at(self, frames):
        """(T,) -> boxes float (T, 4), and seen bool (T,)"""
        boxes = np.stack([np.interp(frames, self.frames, side) for side in self.boxes.T], axis=1)
        last = np.searchsorted(self.frames, frames, side="right") - 1
        at_knot = frames == self.frames[np.maximum(last, 0)]
        seen = (last >= 0) & (frames < self.stop) & (at_knot | ~self.hidden[last])
        return boxes, seen

    def spells(self):
        """Pairs (start, stop) of frames in which it is in sight without a break."""
        _, seen = self.boxes_at(np.arange(self.stop))
        edges = np.flatnonzero(np.diff(np.concatenate([[0], seen, [0]])))
        return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


@dataclass(frozen=True, slots=True)
class Scene:
    """One video: its length, its things from back to front, pairs of frames that are anomalous, and its texts.

    `regions` are dicts as an annotation file has them: caption, keyframes with `frame`, `bbox` in shares of the picture
    and `enabled`, and where they are given `start_frame` and `end_frame`, both included.
    """

    length: int
    tracks: tuple
    events: list
    caption: str
    regions: list


def invent(name, number, rng):
    """The scene of a video.

    Args:
        name: class, "Normal" or one of `SHAPES`.
        number: of the video; chooses the pattern of keyframes.
        rng: all other draws are from it.
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
    return Scene(length, tuple(tracks), main.spells(), texts["video"], regions)


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
    share = [WIDTH, HEIGHT, WIDTH, HEIGHT]
    keyframes = [
        {"frame": frame, "bbox": [round(v / s, 4) for v, s in zip(box, share, strict=True)], "enabled": flag}
        for (frame, box), flag in zip(knots, flags, strict=True)
    ]
    region = {"caption": caption, "keyframes": keyframes}
    if pattern in ("TF", "TTT+", "T+"):
        region |= {"start_frame": knots[0][0], "end_frame": track.stop - 1}
    return region
