"""Join trimmed clips into untrimmed videos whose actions are known to the frame."""

import random
from fractions import Fraction
from pathlib import Path

from tqdm import tqdm

from ..utils.files import atomic
from .clips import find_clips, fit_frame, read_at_rate
from .h264 import H264Writer
from .layout import SUBSETS, entry, finish_layout, start_layout


def make_untrimmed(
    src,
    dst,
    *,
    actions,
    background,
    target,
    videos=20,
    split=0.6,
    passes=1,
    seed=0,
    overwrite=False,
):
    """Write a detection set in the THUMOS14 layout to `dst`; return its annotation database.

    Clips are divided between the subsets before anything else, so no clip is in both. In each pass every clip is used
    once, in another order and company. Two actions never touch: there is background between them.

    Args:
        src: folder with one folder of clips per class.
        dst: folder to write: raw_data/, annotations/.
        actions: class folders that are actions; they become the labels.
        background: class folders that are background.
        target: Format of the videos.
        videos: number of videos, over all passes and both subsets.
        split: share of clips and videos in the subset "training".
        passes: how often each clip is used.
        seed: of the division and the orders.
        overwrite: make the set again if there is one.
    """
    both = sorted(set(actions) & set(background))
    if both or not actions or not background:
        raise ValueError(f"actions and background need a class each and share none; both have {both or 'too few'}")
    if not 0 < split < 1:
        raise ValueError(f"split is the training share, between 0 and 1; got {split}")
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


def write_scripts(clips, actions, *, videos, split, passes, seed):
    """Say which clips follow each other in which video: a list of (subset, [Clip, ...])."""
    rng = random.Random(seed)
    training = min(max(1, round(videos * split)), videos - 1)
    scripts = []
    for subset, share in zip(SUBSETS, (training, videos - training), strict=True):
        own = [clip for label in _labels(clips) for clip in _share(clips, label, subset, split, seed)]
        acting = [clip for clip in own if clip.label in actions]
        quiet = [clip for clip in own if clip.label not in actions]
        for n in range(passes):
            count = share // passes + (n < share % passes)
            rng.shuffle(acting)
            rng.shuffle(quiet)
            if count < 1 or len(acting) < count or len(quiet) < len(acting):
                raise ValueError(
                    f"{subset}: {count} videos a pass cannot be made of {len(acting)} action and {len(quiet)} "
                    "background clips; each needs an action, and there must be as much background as action"
                )
            scripts += [(subset, _interleave(acting[k::count], quiet[k::count], rng)) for k in range(count)]
    return scripts


def _labels(clips):
    return sorted({clip.label for clip in clips})


def _share(clips, label, subset, split, seed):
    """The clips of one class that belong to a subset: every class is divided by the same share."""
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


def join_clips(script, path, target):
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
