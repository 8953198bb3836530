"""Which of several overlapping windows speaks for a position of the video.

W windows of one video
"""

import numpy as np


def central_parts(windows):
    """Divide the positions among the windows: each goes to the one in whose middle it lies best.

    Two neighbours part in the middle of what both cover, so a position near the border of a window, where a network
    sees one side only, is taken from its neighbour where there is one.

    Args:
        windows: (W, 2) int rows [start, end), rising, without gaps between them.
    Returns:
        (W, 2) int64 rows [first, stop): parts of the windows that cover every position once.
    Raises:
        ValueError: windows that do not rise, or leave a gap.
    """
    windows = np.asarray(windows, dtype=np.int64)
    starts, ends = windows.T
    if (np.diff(starts) < 0).any() or (np.diff(ends) < 0).any() or (starts[1:] > ends[:-1]).any():
        raise ValueError(f"windows {windows.tolist()} do not follow each other without gaps")
    borders = (ends[:-1] + starts[1:] + 1) // 2
    return np.stack([np.append(starts[0], borders), np.append(borders, ends[-1])], axis=1)
