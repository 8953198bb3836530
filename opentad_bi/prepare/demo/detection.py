"""A small detection set of real video files that a small network can learn on a CPU in minutes."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...utils.files import atomic
from ..h264 import H264Writer
from ..layout import SUBSETS, entry, finish_layout, start_layout
from .scene import paint
from .story import CLASSES, DemoStyle, tell


def make_demo(out, *, videos=40, seed=0, training=0.6, style=None, overwrite=False):
    """Write a set of `videos` videos in the THUMOS14 layout to the folder `out`; return its annotation database.

    Args:
        out: folder; gets raw_data/video_*.mp4, annotations/thumos_14_anno.json and annotations/category_idx.txt.
        videos: number of videos.
        seed: a video depends on `seed`, its number and `style` alone.
        training: share of the videos in the subset "training", the others are "validation".
        style: a DemoStyle, what the videos are like.
        overwrite: make the set again if there is one.
    """
    if videos < 2 or not 0 < training < 1:
        raise ValueError(f"both subsets need a video: got videos={videos}, training={training}")
    style = style or DemoStyle()
    raw_data = start_layout(out, overwrite=overwrite)
    border = min(max(1, round(videos * training)), videos - 1)
    database = {}
    for n in tqdm(range(videos), desc=f"{Path(out).name}", unit="video"):
        subset = SUBSETS[n >= border]
        name = f"video_{subset}_{n + 1:07d}"
        database[name] = write_video(raw_data / f"{name}.mp4", subset, np.random.default_rng([seed, n]), style)
    finish_layout(out, database, CLASSES)
    return database


def write_video(path, subset, rng, style):
    """Invent, paint and encode one video; return its annotation."""
    import av

    story = tell(rng, style)
    size = (style.size, style.size)
    with (
        atomic(path) as temporary,
        H264Writer(
            temporary, size=size, rate=Fraction(style.fps), time_base=Fraction(1, style.fps), gop=style.fps, threads=1
        ) as writer,
    ):
        for n, picture in enumerate(paint(story, rng, style)):
            writer.write(av.VideoFrame.from_ndarray(picture, format="rgb24"), n, 1)
    return entry(subset, len(story), style.fps, story.actions)
