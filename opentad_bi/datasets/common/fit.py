"""Do files and annotation fit each other?  Lengths of files against those that annotation and config say.

T positions, C channels
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import some
from ...utils.checks import CheckResult

# (share, factor): a length that differs by more than the share is a warning, by the factor or more an error
BY_HEADER = (0.02, 2.0)  # at the start of training and test
BY_CONTENT = (0.01, 1.1)  # where files were read as a whole
SLACK = 8  # frames by which a video and its annotation always may differ: codecs hold back a frame, rates are rounded
SNIPPET = 16  # frames of a snippet: features may end where the last whole one does
WHOLE = 0.02  # share by which frames per row may differ from the whole number that they are taken for
KINDS = {
    "rows": "the features of {} videos do not have the length that annotation, feature_stride and fps say",
    "frames": "{} videos do not have as many frames as the annotation says",
    "seconds": "{} videos do not last as long as the annotation says",
    "entry": "the annotation of {} videos has a 'frame' that is not duration * fps",
}


@dataclass(frozen=True)
class Fit:
    """A length that was found, and the one that was expected.

    Args:
        kind: one of `KINDS`.
        video: its name.
        text: both lengths in words.
        found: frames, or seconds.
        expected: likewise.
        slack: difference that is always allowed.
        rows, stride, seconds: of features: T, frames from one row to the next and annotated duration.
        width: of features: C.
        channels: of features: C of all folders together.
    """

    kind: str
    video: str
    text: str
    found: float
    expected: float
    slack: float
    rows: int = 0
    stride: int = 1
    seconds: float = 0.0
    width: int = 0
    channels: int = 0

    def level(self, limits: tuple[float, float]) -> str | None:
        """ "error", "warning", or None for lengths that fit."""
        return misfit(self.found, self.expected, self.slack, limits)


def misfit(found: float, expected: float, slack: float, limits: tuple[float, float]) -> str | None:
    """ "error" or "warning" for two lengths that differ by more than `slack` and a share, None for others.

    Args:
        limits: (share from which on it is a warning, factor from which on it is an error); the slack does not count
            against the factor, so that features that lack a window are off by 2 where their stride is.
    """
    share, factor = limits
    if abs(found - expected) <= max(slack, share * expected):
        return None
    low, high = sorted((found, expected))
    far = high + slack >= factor * low and high >= (1 + factor) / 2 * low
    return "error" if far else "warning"


def nearest_length(found: Sequence[float], expected: float) -> float:
    """That of several possible lengths which differs least from the one expected."""
    return min(found, key=lambda length: abs(length - expected))


def feature_fit(
    video: str, path: object, shape: tuple[int, int], *, stride: int, frames: int, seconds: float, channels: int = 0
) -> Fit:
    """The fit of features (T, C), of which a row stands for `stride` frames, to a video of `frames` frames.

    `channels` are those of all folders; 0: C.
    """
    text = f"features {path} stand for {shape[0] * stride} frames (stride {stride}), the annotation says {frames}"
    fit = Fit("rows", video, text, shape[0] * stride, frames, _slack(stride, frames / seconds))
    return replace(fit, rows=shape[0], width=shape[1], channels=channels or shape[1], stride=stride, seconds=seconds)


def _slack(stride, fps):
    """Frames that features may lack or have too many: a snippet, which lasts no longer than a second, and two rows."""
    return min(SNIPPET, fps) + 2 * stride


def entry_fit(video: str, entry: dict) -> Fit | None:
    """The fit of `frame` of an annotation entry to its `duration` and `fps`, where it has all three."""
    fps, frames, seconds = (entry.get(key, 0) for key in ("fps", "frame", "duration"))
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and v > 0 for v in (fps, frames, seconds)):
        return None
    text = f"{video}: frame {frames}, but {seconds} s at {fps} fps are {seconds * fps:.0f} frames"
    return Fit("entry", video, text, frames, seconds * fps, SLACK)


def summary(fits: Sequence[Fit], limits: tuple[float, float], *, listed: bool = True) -> list[CheckResult]:
    """One result for each kind and level of misfit, with the value that would fit.

    Args:
        fits: of all videos that were looked at.
        limits: see `misfit`.
        listed: name the first videos; else only what has a value that would fit is a result.
    """
    results = []
    for kind, heading in KINDS.items():
        own = [fit for fit in fits if fit.kind == kind]
        bad = [fit for fit in own if fit.level(limits)]
        # one video among many that fit says nothing of the others
        hint = "".join(f"; {text}" for text in hints(own, bad)) if bad and (len(bad) > 1 or len(own) == 1) else ""
        for level, far in (("error", f"by a factor of {limits[1]:g} or more"), ("warning", f"by over {limits[0]:.0%}")):
            found = [fit for fit in bad if fit.level(limits) == level]
            if found and (listed or hint):
                count = f"{len({fit.video for fit in found})} of {len({fit.video for fit in own})}"
                named = f": {some([fit.text for fit in found])}" if listed else ""
                results.append(CheckResult("files", level, f"{heading.format(count)}, {far}{named}{hint}"))
    return results


def other_channels(fits: Sequence[Fit]) -> list[CheckResult]:
    """An error for the features that have not as many channels as most; none where no number is that of most."""
    own = [fit for fit in fits if fit.kind == "rows"]
    usual, count = Counter(fit.channels for fit in own).most_common(1)[0] if own else (0, 0)
    odd = {fit.video: fit.channels for fit in own if fit.channels != usual}
    if not odd or 2 * count <= len(own):
        return []
    named = some([f"{video} {channels}" for video, channels in odd.items()])
    text = f"features have {usual} channels, but not those of {len(odd)} videos: {named}"
    return [CheckResult("files", "error", text)]


def hints(fits: Sequence[Fit], bad: Sequence[Fit]) -> list[str]:
    """What would make files and annotation fit, in words.

    Args:
        fits: all of one kind.
        bad: those that do not fit.
    """
    kind = bad[0].kind
    if kind == "rows":
        return _feature_hints(fits, bad)
    ratio = float(np.median([fit.found / fit.expected for fit in bad]))
    alike = sum(abs(fit.found / fit.expected / ratio - 1) <= WHOLE for fit in bad)
    if kind == "entry" or alike < 2 or alike < 0.9 * len(bad):
        return []
    than = "have {:.3g} times as many" if kind == "frames" else "last {:.3g} times as long"
    return [f"the files {than.format(ratio)}"]


def _feature_hints(fits, bad):
    turned = [fit for fit in bad if _fits(fit, fit.stride, rows=fit.width)]
    if len(turned) > len(bad) / 2:
        return ["(positions, channels) is expected, but they are (channels, positions): transpose them"]
    stride = float(np.median([fit.expected / fit.rows for fit in bad]))
    whole = max(1, round(stride))
    if abs(stride / whole - 1) <= 2 * WHOLE and _mostly(bad, lambda fit: _fits(fit, whole)):
        return [f"rows fit feature_stride={whole}"]
    fps = float(np.median([fit.rows * fit.stride / fit.seconds for fit in bad]))
    rate = max(1, round(fps))
    if _mostly(bad, lambda fit: misfit(fit.found, fit.seconds * rate, fit.slack, (WHOLE, math.inf)) is None):
        return [f"rows fit fps={rate} of the dataset"]
    if len(fits) > 3 and len({fit.rows for fit in fits}) == 1 and len({fit.width for fit in fits}) > 1:
        return [f"all have {fits[0].rows} rows: they may be (channels, positions), and have to be transposed"]
    return []


def _fits(fit, stride, rows=None):
    """Do as many rows fit, each of `stride` frames?"""
    found = (fit.rows if rows is None else rows) * stride
    return misfit(found, fit.expected, _slack(stride, fit.expected / fit.seconds), (WHOLE, math.inf)) is None


def _mostly(fits, test):
    return sum(map(test, fits)) >= 0.9 * len(fits)
