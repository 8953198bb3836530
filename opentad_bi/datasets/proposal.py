"""A grid, a window and a pyramid for a data set, from the lengths of its actions.

The rules, in the order in which they are applied:

1. Stride: the largest `unit * 2**k` frames at which a short action, of the 5th percentile, spans `SHORT` positions or
   more; at least `unit`. Finer grids cost time and memory, coarser ones blur where a short action begins.
2. Pyramid: levels of stride 1, 2, 4, ...; the range of a level of stride s ends at 4 s, as in ActionFormer (Zhang et
   al., ECCV 2022, section 3.3), and that of the last never. As many levels as it takes for half the length of `share`
   of the actions to end before the last: an action is found from its middle, so half its length is what a point must
   reach.
3. Window: wherever an action among the shortest `share` lies, one of the sliding windows holds it whole, with
   `context` times its length on either side. A window of T with an overlap of o T holds whatever is not longer than
   o T. It is a multiple of 16, the frames of a clip of a video transformer, and of what the pyramid asks for, and not
   longer than the longest video needs.
"""

import math
from dataclasses import dataclass

import numpy as np

SHORT = 4  # positions that a short action should span
REACH = 4  # positions that the finest level reaches; each coarser one reaches twice as far
FOREVER = 10000  # stands for no end of a range
CLIP = 16  # frames of a clip


@dataclass(frozen=True)
class Proposal:
    """Settings for a data set.

    Args:
        feature_stride: frames from one grid position to the next.
        window_size: grid positions of a window.
        window_overlap_ratio: share of a window that the next one repeats.
        strides, regression_range: of the L levels of the pyramid, in grid positions.
    """

    feature_stride: int
    window_size: int
    window_overlap_ratio: float
    strides: list
    regression_range: list


def propose(lengths, frames, *, share=0.99, context=1.0, overlap=0.5, unit=1, stride=None, attention=1):
    """Settings by the rules above.

    Args:
        lengths: frames of every action.
        frames: frames of every video.
        share: of the actions that must fit, in (0, 1].
        context: what must be in the window on either side of an action, in lengths of the action.
        overlap: of the sliding windows, in (0, 1).
        unit: the stride is a multiple of this; frames of a grid position (`scale_factor`).
        stride: frames from one grid position to the next, where features that are there say so.
        attention: positions that local attention sees (`n_mha_win_size`); at most 1 for all of them.
    Raises:
        ValueError: a share, context or overlap out of its range.
    """
    if not 0 < share <= 1 or not 0 < overlap < 1 or context < 0:
        raise ValueError(f"share {share} must be in (0, 1], overlap {overlap} in (0, 1), context {context} at least 0")
    stride = stride or propose_stride(lengths, unit)
    longest = float(np.quantile(lengths, share, method="inverted_cdf")) / stride
    strides, ranges = propose_levels(longest)
    block = max(strides) * (2 * (attention // 2) if attention > 1 else 1)
    multiple = math.lcm(CLIP, block)
    needed = min((1 + 2 * context) * longest / overlap, math.ceil(max(frames) / stride))
    window = max(1, math.ceil(needed / multiple)) * multiple
    return Proposal(stride, window, overlap, strides, ranges)


def propose_stride(lengths, unit=1):
    """Rule 1: frames from one grid position to the next."""
    short = float(np.quantile(lengths, 0.05, method="inverted_cdf"))
    return unit * 2 ** max(0, math.floor(math.log2(max(short, 1) / (SHORT * unit))))


def propose_levels(longest):
    """Rule 2: strides and ranges of the levels for actions of up to `longest` positions; at least two levels."""
    finite = max(1, math.ceil(math.log2(max(longest, 1) / 2 / REACH)) + 1)
    ends = [REACH * 2**level for level in range(finite)]
    return [2**level for level in range(finite + 1)], list(zip([0, *ends], [*ends, FOREVER], strict=True))
