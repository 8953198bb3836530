"""Steps of the pipelines of clips.

Frames spread over a whole video, at the size that the network takes.

T frames of a temporal view, V_t temporal views, N frames of the video, H height, W width, h, w the same when resized

Square crops of every temporal view.

T frames of a view, V_t temporal and V_s spatial views, V = V_t * V_s, S side, h, w height and width

The end of a pipeline over views: the sample as a classifier of videos takes it.

V views, T frames of a view, S side
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

from ...ops.records import UnitMeta
from ...registry import READERS, TRANSFORMS
from ...utils.validation import check_choice, check_count
from ..common.frames import INTERPOLATIONS, RESIZE_MODES, FrameCache, frame_origin, resize_images
from ..readers.base import open_video
from ..transforms.geometry import picture_rows


@TRANSFORMS.register_module()
class LoadClips:
    """Decode V_t * T frames at even distances from the first to the last of a video, and resize them.

    Temporal view k is made of the frames k * T to (k + 1) * T - 1 of these. A video with fewer frames repeats some.

    Args:
        frames: T.
        views: V_t.
        size: pixels that a side is resized to, with antialiasing.
        trim_black: first cut off black strips at the top and at the bottom, see `picture_rows`.
        interpolation: "bicubic", as CLIP's towers were trained with, or "bilinear".
        resize_mode: "shortest": the short side gets the size, the long one keeps the ratio, rounded down (what is too
            much is cut off by `SpatialViews`); "squash": both sides get it; "longest": the long side gets it, and black
            fills the frame up to a square. These are open_clip's words for what a tower was trained with.
        cache: folder in which the resized frames are kept, or None.
        reader: name of the video reader.
        num_threads: its decoding threads.
    Reads `path`, of the video file. Adds `imgs` uint8 (V_t * T, h, w, 3), maybe read-only, and `clips`, (V_t, T).

    Raises:
        FileNotFoundError, VideoError: naming a file that is not there, or that cannot be decoded.
    """

    def __init__(
        self,
        frames,
        views=1,
        size=224,
        *,
        trim_black=False,
        interpolation="bicubic",
        resize_mode="shortest",
        cache=None,
        reader="pyav",
        num_threads=1,
    ):
        READERS.find(reader)
        self.clips = (check_count("LoadClips views", views), check_count("LoadClips frames", frames))
        self.size = check_count("LoadClips size", size)
        self.trim_black = trim_black
        self.interpolation = check_choice("LoadClips interpolation", interpolation, INTERPOLATIONS)
        self.resize_mode = check_choice("LoadClips resize_mode", resize_mode, RESIZE_MODES)
        self.cache = None if cache is None else FrameCache(cache)
        self.reader = reader
        self.num_threads = num_threads

    def __call__(self, results):
        path = Path(results["path"])
        if self.cache is None or not path.is_file():
            imgs = self.load(path)
        else:
            imgs = self.cache.get(self._origin(path), lambda: self.load(path), self._fits)
        results["imgs"], results["clips"] = imgs, self.clips
        return results

    def load(self, path):
        """Decode and resize, whatever is cached: uint8 (V_t * T, h, w, 3)"""
        return self.resize(self.decode(path))

    def decode(self, path):
        """The frames as the file has them: uint8 (V_t * T, H, W, 3)"""
        with open_video(path, self.reader, self.num_threads) as video:
            return video.frames(spread(len(video), self.clips[0] * self.clips[1]))

    def resize(self, imgs):
        """uint8 (V_t * T, H, W, 3) -> (V_t * T, h, w, 3), with black strips cut off before if asked for."""
        if self.trim_black:
            top, bottom = picture_rows(imgs)
            imgs = imgs[:, top:bottom]
        images = torch.from_numpy(imgs).permute(0, 3, 1, 2)
        images = resize_images(images, self._resized(*images.shape[-2:]), self.interpolation)
        if self.resize_mode == "longest":
            missing = [self.size - side for side in images.shape[-2:]]
            (top, left), (bottom, right) = ([(n + more) // 2 for n in missing] for more in (0, 1))
            images = F.pad(images, [left, top, right, bottom])
        return np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())

    def _resized(self, height, width):
        """[height, width] of frames of that size when they are resized."""
        if self.resize_mode == "shortest":
            long = int(
                self.size * max(height, width) / min(height, width)
            )  # torchvision, whose rule it is, rounds down
            return [self.size, long] if height <= width else [long, self.size]
        longest = max(height, width)
        squash = self.resize_mode == "squash"
        return [self.size if squash else max(1, round(self.size * side / longest)) for side in (height, width)]

    def _origin(self, path):
        """All that the frames depend on; how they are split into views is not part of it."""
        return frame_origin(path, self, clips=None, frames=self.clips[0] * self.clips[1])

    def _fits(self, frames):
        """Have cached frames the number and the size that these settings give?"""
        return len(frames) == self.clips[0] * self.clips[1] and min(frames.shape[1:3]) == self.size


def spread(length, count):
    """Numbers of `count` frames at even distances, the first and the last of `length` among them: int64 (count,)"""
    return np.linspace(0, length - 1, count).astype(np.int64)


@TRANSFORMS.register_module()
class SpatialViews:
    """Cut a square from the centre of the frame, or three along its longer side: at the start, the centre, the end.

    View t * V_s + s is crop s of temporal view t.

    Args:
        size: S, at most the short side of the frame.
        views: V_s, 1 or 3.
    Reads `imgs` uint8 (V_t * T, h, w, 3) and `clips`, (V_t, T). Gives `imgs` uint8 (V, T, S, S, 3), a new array.
    """

    def __init__(self, size=224, views=1):
        self.size = check_count("SpatialViews size", size)
        self.views = check_choice("SpatialViews views", views, (1, 3))

    def __call__(self, results):
        imgs, (clips, frames), size = results["imgs"], results["clips"], self.size
        height, width = imgs.shape[1:3]
        if size > min(height, width):
            raise ValueError(
                f"SpatialViews size {size} is larger than the {width} x {height} frame of video {results['video']!r}"
            )
        imgs = imgs.reshape(clips, frames, height, width, 3)
        crops = np.empty((clips, self.views, frames, size, size, 3), dtype=np.uint8)
        for view, (top, left) in enumerate(self.corners(height, width)):
            crops[:, view] = imgs[:, :, top : top + size, left : left + size]
        results["imgs"] = crops.reshape(clips * self.views, frames, size, size, 3)
        return results

    def corners(self, height, width):
        """(top, left) of every crop; the centre is that of torchvision and of CLIP's own preprocessing."""
        top, left = round((height - self.size) / 2), round((width - self.size) / 2)
        if self.views == 1:
            return [(top, left)]
        if width >= height:
            return [(top, 0), (top, left), (top, width - self.size)]
        return [(0, left), (top, left), (height - self.size, left)]


@TRANSFORMS.register_module()
class CollectClip:
    """Make the sample: `inputs` uint8 (V, T, 3, S, S) of `imgs` (V, T, S, S, 3), `label` int, and `meta`."""

    def __call__(self, results):
        imgs = results["imgs"]
        if imgs.ndim != 5:
            raise ValueError(f"CollectClip: imgs {imgs.shape} are not (V, T, S, S, 3); SpatialViews makes the views")
        return {
            "inputs": torch.from_numpy(to_channels(imgs)),
            "label": int(results["label"]),
            "meta": UnitMeta(video=results["video"], start=0, rows=1),
        }


def to_channels(imgs):
    """uint8 (V, T, S, S, 3) -> (V, T, 3, S, S), contiguous."""
    views, frames, height, width, channels = imgs.shape
    out = np.empty((views, frames, channels, height, width), dtype=np.uint8)
    for image, planes in zip(imgs.reshape(-1, height, width, channels), out.reshape(-1, *out.shape[2:]), strict=True):
        cv2.split(image, list(planes))
    return out
