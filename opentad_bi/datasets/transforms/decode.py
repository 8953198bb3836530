"""Chosen frames to pixels."""

import numpy as np

from ...registry import TRANSFORMS
from ..readers import VideoError


@TRANSFORMS.register_module()
class DecodeFrames:
    """Decode `frame_inds` of the open video into `imgs` uint8 (T', H, W, 3), and close it.

    Where a reversed video is open too, its mirrored frames (frame f is there N - 1 - f of N) stand behind, in forward
    order: (2T', H, W, 3). The steps that follow then draw once for both.
    """

    def __call__(self, results):
        with results.pop("reader") as reader:
            results["imgs"] = reader.frames(results["frame_inds"])
        if "back_reader" in results:
            with results.pop("back_reader") as back_reader:
                backward = _mirrored(reader, back_reader, results["frame_inds"])
            results["imgs"] = _behind(results["imgs"], backward, back_reader.path)
        return results


def _mirrored(reader, back_reader, indices):
    """Frames of the reversed video that show what `indices` show in the forward one."""
    if len(reader) != len(back_reader):
        raise VideoError(
            f"video {back_reader.path} has {len(back_reader)} frames, but {reader.path} has {len(reader)}: it is not "
            "the same video reversed; make it again with tools/reverse_videos.py"
        )
    return back_reader.frames(len(reader) - 1 - indices)


def _behind(forward, backward, path):
    if forward.shape != backward.shape:
        raise VideoError(
            f"video {path} has frames of {backward.shape[1:3]} pixels, the forward one of {forward.shape[1:3]}"
        )
    return np.concatenate([forward, backward])
