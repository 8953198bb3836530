"""Steps of the pipelines of clips: frames spread over a video, square crops of them, the sample of a classifier.

T frames of a view, V_t temporal and V_s spatial views, V = V_t * V_s, H height, W width, h, w the same when resized, S
side of a crop
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from ...ops.records import UnitMeta
from ...registry import TRANSFORMS
from ...utils.validation import check_choice, check_count
from ..common.frames import FrameLoader
from ..transforms.geometry import picture_rows

Results = dict[str, Any]


@TRANSFORMS.register_module()
class LoadClips(FrameLoader):
    """Decode V_t * T frames at even distances from the first to the last of a video, and resize them.

    Temporal view k is made of the frames k * T to (k + 1) * T - 1 of these. A video with fewer frames repeats some.

    Args:
        frames: T.
        views: V_t.
        size: pixels that a side is resized to.
        trim_black: first cut off black strips at the top and at the bottom, see `picture_rows`.
        resize_mode: "shortest", "squash" or "longest"; what is too much is cut off by `SpatialViews`.
        interpolation, cache, reader, num_threads: see `FrameLoader`.
    Reads `path`, of the video file. Adds `imgs` uint8 (V_t * T, h, w, 3), maybe read-only, and `clips`, (V_t, T).

    Raises:
        FileNotFoundError, VideoError: naming a file that is not there, or that cannot be decoded.
    """

    _owner = "LoadClips "

    def __init__(
        self,
        frames: int,
        views: int = 1,
        size: int = 224,
        *,
        trim_black: bool = False,
        interpolation: str = "bicubic",
        resize_mode: str = "shortest",
        cache: str | None = None,
        reader: str = "pyav",
        num_threads: int = 1,
    ) -> None:
        super().__init__(
            size,
            interpolation=interpolation,
            resize_mode=resize_mode,
            cache=cache,
            reader=reader,
            num_threads=num_threads,
        )
        self.clips = (check_count("LoadClips views", views), check_count("LoadClips frames", frames))
        self.trim_black = trim_black

    def __call__(self, results: Results) -> Results:
        path, count = Path(results["path"]), self.clips[0] * self.clips[1]
        if path.is_file():
            # how the frames are split into views is not what they depend on
            imgs = self._kept(path, lambda: self.load(path), self._fits, clips=None, frames=count)
        else:
            imgs = self.load(path)  # says what is wrong
        results["imgs"], results["clips"] = imgs, self.clips
        return results

    def load(self, path: Path) -> np.ndarray:
        """Decode and resize, whatever is cached: uint8 (V_t * T, h, w, 3)"""
        return self.resize(self.decode(path))

    def decode(self, path: Path) -> np.ndarray:
        """The frames as the file has them: uint8 (V_t * T, H, W, 3)"""
        with self.open(path) as video:
            return video.frames(spread(len(video), self.clips[0] * self.clips[1]))

    def resize(self, images: np.ndarray) -> np.ndarray:
        """uint8 (V_t * T, H, W, 3) -> (V_t * T, h, w, 3), with black strips cut off before if asked for."""
        if self.trim_black:
            top, bottom = picture_rows(images)
            images = images[:, top:bottom]
        return super().resize(images)

    def _fits(self, frames: np.ndarray) -> bool:
        """Have cached frames the number and the size that these settings give?"""
        return len(frames) == self.clips[0] * self.clips[1] and min(frames.shape[1:3]) == self.size


def spread(length: int, count: int) -> np.ndarray:
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

    def __init__(self, size: int = 224, views: int = 1) -> None:
        self.size = check_count("SpatialViews size", size)
        self.views = check_choice("SpatialViews views", views, (1, 3))

    def __call__(self, results: Results) -> Results:
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

    def corners(self, height: int, width: int) -> list[tuple[int, int]]:
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

    def __call__(self, results: Results) -> Results:
        imgs = results["imgs"]
        if imgs.ndim != 5:
            raise ValueError(f"CollectClip: imgs {imgs.shape} are not (V, T, S, S, 3); SpatialViews makes the views")
        return {
            "inputs": torch.from_numpy(to_channels(imgs)),
            "label": int(results["label"]),
            "meta": UnitMeta(video=results["video"], start=0, rows=1),
        }


def to_channels(imgs: np.ndarray) -> np.ndarray:
    """uint8 (V, T, S, S, 3) -> (V, T, 3, S, S), contiguous."""
    views, frames, height, width, channels = imgs.shape
    out = np.empty((views, frames, channels, height, width), dtype=np.uint8)
    for image, planes in zip(imgs.reshape(-1, height, width, channels), out.reshape(-1, *out.shape[2:]), strict=True):
        cv2.split(image, list(planes))
    return out
