"""Which frames of a video are taken, so that no described region is missed, and which videos make a batch.

T frames, R regions, M visibility intervals of a region, N samples, U batches
"""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from .regions import VisibilityTrack

POLICIES = ("ensure", "drop", "nearest")


@dataclass(frozen=True)
class SampledRegions:
    """Frames, and the regions that are in them.

    Args:
        frames: int64 (T,), rising; a short window repeats its last frame.
        valid: bool (T,), False for repeats.
        regions: list of R' numbers of the regions that are in at least one of the frames.
        boxes: float32 (R', T, 4), zero where the mask is False.
        mask: bool (R', T).
        outside: number of regions that are nowhere in the window.
        missed: number that are in the window but that the evenly spread frames do not hit.
        moved: number of frames that were chosen for a region.
        short: number of regions with fewer frames than asked for, as there are too few frames for all of them.
        too_many: number of regions that were not asked for.
    """

    frames: np.ndarray
    valid: np.ndarray
    regions: list
    boxes: np.ndarray
    mask: np.ndarray
    outside: int
    missed: int
    moved: int
    short: int
    too_many: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """{name: number} of what was left out or changed."""
        names = ("outside", "missed", "moved", "short", "too_many")
        return {name: value for name, value in vars(self).items() if name in names}


def frame_window(window: tuple[float, float] | None, fps: float, length: int) -> tuple[int, int]:
    """[first, stop) in frames of a window in seconds: floor and ceiling, cut to the video.

    Args:
        window: (first, stop) in seconds, or None: all frames.
        length: frames of the video.
    Raises:
        ValueError: the window begins at or beyond the end of the video, or the frames per second are not known.
    """
    if window is None:
        return 0, length
    if not fps > 0:
        raise ValueError(f"the window of {window[0]:g} to {window[1]:g} s needs frames per second, which are not known")
    first, stop = math.floor(window[0] * fps), min(length, math.ceil(window[1] * fps))
    if first >= stop:
        raise ValueError(
            f"the window of {window[0]:g} to {window[1]:g} s begins beyond the {length} frames at {fps:g} per second"
        )
    return first, stop


def uniform_frames(first: int, stop: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames at even distances over [first, stop), its ends among them; a shorter window repeats its last frame.

    Returns:
        frames int64 (count,), valid bool (count,).
    """
    length, numbers = stop - first, np.arange(count, dtype=np.int64)
    if length < count:
        return first + numbers.clip(max=length - 1), numbers < length
    if count == 1:
        return np.array([first + (length - 1) // 2], dtype=np.int64), np.ones(1, dtype=bool)
    return first + numbers * (length - 1) // (count - 1), np.ones(count, dtype=bool)


def sample_regions(
    tracks: Sequence[VisibilityTrack], first: int, stop: int, count: int, *, policy: str = "ensure", minimum: int = 1
) -> SampledRegions:
    """Choose frames of a window and find the regions in them.

    Args:
        tracks: R of them, see `VisibilityTrack`.
        first, stop: the window [first, stop) in frames.
        count: T.
        policy: what is done for a region that the evenly spread frames miss: "ensure": the nearest frame that no other
            region needs makes way for the middle of the region's frames; "drop": it is left out; "nearest": it is
            taken to be in the frame nearest to it, with the box that it has nearest to that.
        minimum: frames of every region that "ensure" brings about, if it is visible that long.
    """
    frames, valid = uniform_frames(first, stop, count)
    spans = [track.intervals(first, stop) for track in tracks]
    inside = [number for number, own in enumerate(spans) if len(own)]
    even = {number: int(tracks[number].visible(frames)[valid].sum()) for number in inside}
    moved, short = 0, 0
    if policy == "ensure" and valid.all():
        frames, moved, short = ensure_regions(frames, [spans[number] for number in inside], minimum)
    regions, boxes, masks = [], [], []
    for number in inside:
        mask, places = tracks[number].visible(frames) & valid, frames
        if not mask.any() and policy == "nearest":
            slot, place = _nearest(frames[valid], spans[number])
            mask[slot], places = True, np.full_like(frames, place)
        if mask.any():
            regions.append(number)
            masks.append(mask)
            boxes.append(np.where(mask[:, None], tracks[number].box(places), np.float32(0)))
    return SampledRegions(
        frames=frames,
        valid=valid,
        regions=regions,
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, count, 4),
        mask=np.array(masks, dtype=bool).reshape(-1, count),
        outside=len(tracks) - len(inside),
        missed=sum(hits == 0 for hits in even.values()),
        moved=moved,
        short=short,
    )


def ensure_regions(frames: np.ndarray, spans: Sequence[np.ndarray], minimum: int) -> tuple[np.ndarray, int, int]:
    """Move as few frames as needed so that every region is in `minimum` of them, or in all in which it is visible.

    The rarest region comes first. Every region gets one frame before any gets more: with as many frames as regions,
    none is missed. A frame makes way where no region that is in it would fall short, or else, for the first frame of
    another region, where none would be missed; with as many frames as the regions need together, all get theirs.

    Args:
        frames: int64 (T,), rising, all different.
        spans: list of int64 (M, 2), not empty, where the regions are visible.
        minimum: frames per region.
    Returns:
        frames int64 (T,), rising, all different; how many moved; how many regions got fewer than they need.
    """
    even, frames = frames, np.sort(frames)
    lengths = [int((own[:, 1] - own[:, 0]).sum()) for own in spans]
    needs = np.array([min(minimum, length) for length in lengths], dtype=np.int64)
    hits = np.array([_inside(frames, own) for own in spans], dtype=bool).reshape(len(spans), len(frames))
    for least in (needs.clip(max=1), needs):
        for number in np.argsort(lengths, kind="stable"):
            while hits[number].sum() < least[number]:
                wanted = _wanted(spans[number], lengths[number], int(needs[number]), frames[hits[number]])
                free = next(filter(len, (_free(hits, needs), _free(hits, least))), None)
                if free is None:
                    break
                slot = free[np.argmin(abs(frames[free] - wanted))]
                frames[slot] = wanted
                hits[:, slot] = [_inside(frames[slot : slot + 1], own)[0] for own in spans]
    return np.sort(frames), len(np.setdiff1d(frames, even)), int((hits.sum(axis=1) < needs).sum())


def _free(hits, needs):
    """Numbers of the frames without which no region has fewer than it needs.  bool (R, T), (R,) -> (<= T,)"""
    return np.flatnonzero(~(hits & (hits.sum(axis=1) <= needs)[:, None]).any(axis=0))


def _wanted(spans, length, need, present):
    """The frame to add to the `present` ones of a region: of `need` evenly spread ones, that farthest from them."""
    places = (length * (2 * np.arange(need) + 1) - 1) // (2 * need)  # within the frames that show the region
    before = np.cumsum(spans[:, 1] - spans[:, 0]) - (spans[:, 1] - spans[:, 0])
    row = np.searchsorted(before, places, side="right") - 1
    frames = spans[row, 0] + places - before[row]
    if not len(present):
        return int(frames[(need - 1) // 2])
    distance = abs(frames[:, None] - present).min(axis=1)
    return int(frames[np.argmax(distance)])


def _inside(frames, spans):
    """Which frames lie in one of the spans.  (T,), (M, 2) -> bool (T,)"""
    row = np.searchsorted(spans[:, 0], frames, side="right") - 1
    return (row >= 0) & (frames < spans[row, 1])


def _nearest(frames, spans):
    """Place among `frames` of the one nearest to a region, and the frame of the region nearest to that one."""
    near = frames[:, None].clip(spans[:, 0], spans[:, 1] - 1)  # (T, M)
    distance = abs(near - frames[:, None])
    slot, span = np.unravel_index(np.argmin(distance), distance.shape)
    return int(slot), int(near[slot, span])


BALANCES = ("natural", "equal")


def balanced_order(
    kinds: Sequence[bool] | np.ndarray,
    keys: Sequence[Hashable],
    unit: int,
    generator: np.random.Generator,
    *,
    balance: str = "natural",
) -> list[int]:
    """Lay samples out in units.  Returns a list of indices.

    Args:
        kinds: (N,) truth values: is it of the first kind?
        keys: N hashable values; two samples of one unit should differ in them.
        unit: samples of a unit.
        balance: "natural": every sample once, and every unit has both kinds in the proportion of all, to within one;
            the rest that fills no unit stands at the end. "equal": as many full units, with both kinds half and half;
            the rarer kind comes repeatedly, and the other not as a whole. With one kind alone it is "natural".
    """
    kinds = np.asarray(kinds, dtype=bool)
    units = len(kinds) // unit
    order = generator.permutation(len(kinds))
    if not units:
        return order.tolist()
    if balance == "equal" and 0 < kinds.sum() < len(kinds):
        quotas = _spread(units * unit // 2, units)
        chosen = [_repeated(np.flatnonzero(kinds == kind), total, generator)
                  for kind, total in ((True, quotas.sum()), (False, units * unit - quotas.sum()))]  # fmt: skip
        rest = []
    else:
        used, rest = order[: units * unit], order[units * unit :].tolist()
        chosen = [used[kinds[used]], used[~kinds[used]]]
        quotas = _spread(len(chosen[0]), units)
    generator.shuffle(quotas)
    places: list[list[int]] = [[] for _ in range(units)]
    held: dict[Hashable, Counter] = defaultdict(Counter)  # of every key: its samples by unit
    for own, free in zip(chosen, (quotas, unit - quotas), strict=True):
        _place(own, keys, free.copy(), places, held, generator)
    for place in places:
        generator.shuffle(place)
    return [int(index) for place in places for index in place] + rest


def _spread(total, units):
    """`total` things in `units` parts that differ by one at most."""
    ends = np.arange(units + 1) * total // units
    return np.diff(ends)


def _repeated(indices, total, generator):
    """So many of the indices: shuffled, again and again if needed."""
    rounds = -(-total // len(indices))
    return np.concatenate([generator.permutation(indices) for _ in range(rounds)] or [indices])[:total]


def _place(indices, keys, free, places, held, generator):
    """Put indices into units with `free` places, those of the most frequent key first, in units that lack it.

    Of these, the ones with the most free places are taken: so a later key finds as many units as can be left to it.
    """
    by_key = defaultdict(list)
    for index in indices:
        by_key[keys[index]].append(index)
    for key in sorted(by_key, key=lambda key: -len(by_key[key])):
        copies = np.zeros(len(free), dtype=np.int64)
        for place, count in held[key].items():
            copies[place] = count
        for index in by_key[key]:
            rank = copies * (free.max() + 1) - free + 0.5 * generator.random(len(free))
            place = int(np.argmin(np.where(free > 0, rank, np.inf)))
            places[place].append(int(index))
            held[key][place] += 1
            copies[place] += 1
            free[place] -= 1
