"""When a region is in the picture, and where: the lifespan of a keyframed box, as Label Studio means it.

n keyframes, T frames, M spans
"""

import numpy as np

from ..utils.validation import check_choice

ENABLED_MODES = ("label_studio", "ignore")
OPEN_ENDS = ("video", "keyframe")


class Lifespan:
    """A region with at least one keyframe, asked about many frames at once.

    An enabled keyframe says that the box lives on from there, moving evenly, up to the next keyframe; one that is not
    enabled ends the life of the box, which is still there at that frame. After an enabled last keyframe the box stays
    where it is. Outside first and last frame of the region there is no box.

    Args:
        region: caption_records.Region.
        enabled_mode: "label_studio", as above, or "ignore": all frames from the first to the last keyframe, whatever
            the region says.
        open_end: where an enabled last keyframe ends in a region that does not say: with the "video" or the "keyframe".
    """

    def __init__(self, region, *, enabled_mode="label_studio", open_end="video"):
        check_choice("enabled_mode", enabled_mode, ENABLED_MODES)
        check_choice("open_end", open_end, OPEN_ENDS)
        if not region.keyframes:
            raise ValueError(f"region {region.caption!r} has no keyframe, so it has no place in the picture")
        latest = {keyframe.frame: keyframe for keyframe in region.keyframes}
        keyframes = [latest[frame] for frame in sorted(latest)]
        self.frames = np.array([keyframe.frame for keyframe in keyframes], dtype=np.int64)
        self.boxes = np.array([keyframe.box for keyframe in keyframes], dtype=np.float64)
        self.enabled = np.array([keyframe.enabled for keyframe in keyframes], dtype=bool)
        self.start, self.end = region.start, region.end
        if enabled_mode == "ignore":
            self.enabled[:] = True
            self.start = self.end = None
        if enabled_mode == "ignore" or (open_end == "keyframe" and region.end is None):
            self.enabled[-1] = False

    def spans(self, first, stop):
        """Where the box lives within a window of frames, `stop` not included: int64 (M, 2) of [begin, end), rising."""
        ends = np.append(self.frames[1:], max(stop, self.frames[-1] + 1))
        ends = np.where(self.enabled, ends, self.frames + 1)
        low = first if self.start is None else max(first, self.start)
        high = stop if self.end is None else min(stop, self.end + 1)
        spans = np.stack([self.frames.clip(low), ends.clip(max=high)], axis=1)
        return spans[spans[:, 0] < spans[:, 1]]

    def visible(self, frames):
        """Is the box in each of the frames?  int (T,) -> bool (T,)"""
        frames = np.asarray(frames, dtype=np.int64)
        before = np.searchsorted(self.frames, frames, side="right") - 1  # the keyframe at or before each frame
        found = (before >= 0) & (self.enabled[before] | (self.frames[before] == frames))
        if self.start is not None:
            found &= frames >= self.start
        if self.end is not None:
            found &= frames <= self.end
        return found

    def box(self, frames):
        """Where the box is or, between its lives, would be; beyond its keyframes it stays.

        Args:
            frames: int (T,).
        Returns:
            float32 (T, 4), x1, y1, x2, y2 in shares of width and height.
        """
        frames = np.asarray(frames, dtype=np.int64)
        columns = [np.interp(frames, self.frames, column) for column in self.boxes.T]
        return np.stack(columns, axis=1).astype(np.float32)
