"""The two forms of extracted features: one row per position of a video, or every window as the network gives it.

W windows of a video, T grid positions of a window, V of them valid, n positions of the video, C channels
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ops.records import BACKWARD
from ..utils.files import atomic, write_json


@dataclass(frozen=True)
class Part:
    """What one window gives to the file of its video.

    Args:
        index: of the sample in the dataset.
        start: first grid position of the window.
        first, stop: positions of the window (exclusive end) that it speaks for where windows overlap.
        last: no other window of the video follows.
    """

    index: int
    video: str
    start: int
    first: int
    stop: int
    last: bool


class VideoRows:
    """(n, C): every position from the window in whose middle it lies best; backward as the reversed video runs."""

    name = "videos"

    def take(self, direction, maps, part, valid):
        """Rows of the positions that a window speaks for, from its maps (T, C) in the order of the direction."""
        first, stop = min(part.first, valid), min(part.stop, valid)
        return maps[valid - stop : valid - first] if direction == BACKWARD else maps[first:stop]

    def save(self, path, direction, rows, parts, valid, facts):
        """Write the rows of all windows of one video, and `facts`, if there are any, in NAME.json."""
        if facts:
            write_json(path.with_name(f"{path.stem}.json"), facts)
        table = np.concatenate(rows[::-1] if direction == BACKWARD else rows)
        with atomic(path) as temporary:
            np.save(temporary, table)


class Windows:
    """(W, T, C): every window with its padding, as the network gives it, the backward ones of the reversed window.

    Beside NAME.npy lies NAME.json: `starts`, the first grid position of every window, and `valid`, its V, and `facts`.
    """

    name = "windows"

    def take(self, direction, maps, part, valid):
        """The maps as they are."""
        return maps

    def save(self, path, direction, rows, parts, valid, facts):
        """Write all windows of one video, one after the other; the array last, since it tells that both are there."""
        index = {"starts": [part.start for part in parts], "valid": valid}
        write_json(path.with_name(f"{path.stem}.json"), index | facts)
        with atomic(path) as temporary:
            table = np.lib.format.open_memmap(temporary, "w+", rows[0].dtype, (len(rows), *rows[0].shape))
            for row, window in zip(table, rows, strict=True):
                row[:] = window
            table.flush()


def feature_file(out, direction, video):
    """Path of the features of one video."""
    return Path(out) / direction / f"{video}.npy"
