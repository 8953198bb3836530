"""Join trimmed clips from a folder per class into untrimmed videos whose actions are known to the frame."""

import logging
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ..ops.names import VIDEO_SUFFIXES
from ..registry import nearest
from ..utils.files import atomic, list_folder, walk_files
from .frames import frame_rate, open_video
from .h264 import H264Writer
from .layout import SUBSETS, entry, finish_layout, start_layout

if TYPE_CHECKING:  # PyAV is imported where it is used
    import av

log = logging.getLogger(__name__)

FITS = ("crop", "letterbox")


@dataclass(frozen=True)
class Clip:
    """A trimmed video file, the class folder it lies in, and how many frames it has at the target rate."""

    path: Path
    label: str
    frames: int


@dataclass(frozen=True)
class Format:
    """What every clip is brought to: frames of `width` x `height` pixels, `fps` frames per second.

    `fit` says what happens to another aspect: "crop" fills the frame and cuts what sticks out; "letterbox" keeps
    everything and adds black bars, which a network may read as the class if classes differ in aspect.
    """

    width: int
    height: int
    fps: int
    fit: str = "crop"

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ValueError(f"unknown fit {self.fit!r}; {nearest(self.fit, FITS)}")
        if self.width % 2 or self.height % 2 or min(self.width, self.height, self.fps) < 1:
            raise ValueError(f"width and height must be even, fps at least 1; got {self}")


def find_clips(root: Path | str, labels: Sequence[str], fps: int) -> list[Clip]:
    """List the clips of the class folders `labels` of `root`, in order of their names.

    A clip that cannot be decoded is left out with a warning.

    Raises:
        FileNotFoundError: a folder that is missing or has no readable clip.
    """
    root = Path(root)
    clips = []
    for label in labels:
        folder = root / label
        if not folder.is_dir():
            known = [p.name for p in list_folder(root) if p.is_dir()] if root.is_dir() else []
            raise FileNotFoundError(f"class folder {folder} does not exist; {nearest(label, known)}")
        files = walk_files(folder, VIDEO_SUFFIXES)
        own = [clip for clip in (_probe(file, label, fps) for file in files) if clip]
        if not own:
            raise FileNotFoundError(f"no readable video is in {folder}")
        clips += own
    return clips


def _probe(path, label, fps):
    try:
        frames = sum(1 for _ in read_at_rate(path, fps))
    except Exception as error:
        log.warning("%s is skipped, it cannot be read: %s", path, error)
        return None
    return Clip(path, label, frames)


def read_at_rate(path: Path | str, fps: int) -> "Iterator[av.VideoFrame]":
    """Yield frames so that they come `fps` times a second: frame n is the one shown at n / fps.

    Frames are repeated or left out, never blended.

    Raises:
        ValueError: there is no frame; see also `open_video`.
    """
    container, stream = open_video(path)
    with container:
        rate = float(frame_rate(stream))
        given, start, shown = 0, None, None
        for n, frame in enumerate(container.decode(stream)):
            time = n / rate if frame.time is None or container.format.name == "avi" else frame.time
            start = time if start is None else start
            # The picture shown at given / fps is the last one that began by then; half a millisecond is rounding.
            while shown is not None and given / fps < time - start - 5e-4:
                yield shown
                given += 1
            shown, end = frame, time - start + 1 / rate
        while shown is not None and given / fps < end - 5e-4:
            yield shown
            given += 1
    if given == 0:
        raise ValueError(f"{path} has no frames")


def fit_frame(frame: "av.VideoFrame", target: Format) -> np.ndarray:
    """Bring a frame to the size of `target`.  Returns uint8 (height, width, 3) RGB."""
    ratios = target.width / frame.width, target.height / frame.height
    scale = max(ratios) if target.fit == "crop" else min(ratios)
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    resized = frame.reformat(width, height, format="rgb24", interpolation="AREA" if scale < 1 else "BICUBIC")
    top, left = (target.height - height) // 2, (target.width - width) // 2
    canvas = np.zeros((target.height, target.width, 3), np.uint8)
    rows, own_rows = _overlap(top, height, target.height)
    columns, own_columns = _overlap(left, width, target.width)
    canvas[rows, columns] = resized.to_ndarray()[own_rows, own_columns]
    return canvas


def _overlap(offset, length, room):
    """Slices of a room and of something of `length` put at `offset` into it (negative: it sticks out)."""
    first, stop = max(0, offset), min(room, offset + length)
    return slice(first, stop), slice(first - offset, stop - offset)


def make_untrimmed(
    src: Path | str,
    dst: Path | str,
    *,
    actions: Sequence[str],
    background: Sequence[str],
    target: Format,
    videos: int = 20,
    split: float = 0.6,
    passes: int = 1,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, dict]:
    """Write a detection set in the THUMOS14 layout to `dst`; return its annotation database.

    Clips are divided between the subsets before anything else, so no clip is in both. In each pass every clip is used
    once, in another order and company. Two actions never touch: there is background between them.

    Args:
        src: folder with one folder of clips per class.
        dst: folder to write: raw_data/, annotations/.
        actions: class folders that are actions; they become the labels.
        background: class folders that are background.
        target: size and rate of the videos.
        videos: number of videos, over all passes and both subsets.
        split: fraction of clips and videos in the subset "training".
        passes: how often each clip is used.
        seed: of the division and the orders.
    Raises:
        FileExistsError: there is a set in `dst` already.
        FileNotFoundError: see `find_clips`.
        ValueError: options that do not fit each other or the clips.
    """
    both = sorted(set(actions) & set(background))
    if both or not actions or not background:
        raise ValueError(f"actions and background need a class each and share none; both have {both or 'too few'}")
    if not 0 < split < 1:
        raise ValueError(f"split is the fraction of training videos, between 0 and 1; got {split}")
    clips = find_clips(src, [*actions, *background], target.fps)
    scripts = write_scripts(clips, set(actions), videos=videos, split=split, passes=passes, seed=seed)
    raw_data = start_layout(dst, overwrite=overwrite)
    database = {}
    for n, (subset, script) in enumerate(tqdm(scripts, desc=Path(dst).name, unit="video")):
        name = f"video_{subset}_{n + 1:07d}"
        found = join_clips(script, raw_data / f"{name}.mp4", target)
        shown = [(first, stop, clip.label) for first, stop, clip in found if clip.label in actions]
        database[name] = entry(subset, found[-1][1], target.fps, shown)
        database[name]["clips"] = [clip.path.relative_to(src).as_posix() for _, _, clip in found]
    finish_layout(dst, database, list(actions))
    return database


def write_scripts(
    clips: Sequence[Clip], actions: Collection[str], *, videos: int, split: float, passes: int, seed: int
) -> list[tuple[str, list[Clip]]]:
    """Which clips follow each other in which video: a list of (subset, clips)."""
    labels = sorted({clip.label for clip in clips})
    rng = random.Random(seed)
    training = min(max(1, round(videos * split)), videos - 1)
    scripts = []
    for subset, total in zip(SUBSETS, (training, videos - training), strict=True):
        own = [clip for label in labels for clip in _clips_of(clips, label, subset, split, seed)]
        acting = [clip for clip in own if clip.label in actions]
        quiet = [clip for clip in own if clip.label not in actions]
        for n in range(passes):
            count = total // passes + (n < total % passes)
            rng.shuffle(acting)
            rng.shuffle(quiet)
            if count < 1 or len(acting) < count or len(quiet) < len(acting):
                raise ValueError(
                    f"{subset}: {count} videos a pass cannot be made of {len(acting)} action and {len(quiet)} "
                    "background clips; each needs an action, and there must be as much background as action"
                )
            scripts += [(subset, _interleave(acting[k::count], quiet[k::count], rng)) for k in range(count)]
    return scripts


def _clips_of(clips, label, subset, split, seed):
    """The clips of one class that belong to a subset: every class is divided by the same fraction."""
    own = [clip for clip in clips if clip.label == label]
    random.Random(f"{seed} {label}").shuffle(own)
    border = round(len(own) * split)
    return own[:border] if subset == SUBSETS[0] else own[border:]


def _interleave(acting, quiet, rng):
    """Put at least one background clip between any two actions, the others anywhere."""
    gaps = [[] for _ in range(len(acting) + 1)]
    spare = list(quiet)
    for gap in gaps[1:-1]:
        gap.append(spare.pop())
    for clip in spare:
        rng.choice(gaps).append(clip)
    order = gaps[0]
    for clip, gap in zip(acting, gaps[1:], strict=True):
        order = [*order, clip, *gap]
    return order


def join_clips(script: Sequence[Clip], path: Path, target: Format) -> list[tuple[int, int, Clip]]:
    """Write the clips of `script` one after the other; return (first frame, frame after the last, Clip) of each."""
    import av

    found, n = [], 0
    size, rate = (target.width, target.height), Fraction(target.fps)
    with atomic(path) as temporary, H264Writer(temporary, size=size, rate=rate, time_base=1 / rate) as writer:
        for clip in script:
            first = n
            for frame in read_at_rate(clip.path, target.fps):
                picture = av.VideoFrame.from_ndarray(fit_frame(frame, target), format="rgb24")
                writer.write(picture, n, 1)
                n += 1
            found.append((first, n, clip))
    return found
