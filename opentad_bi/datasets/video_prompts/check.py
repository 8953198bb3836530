"""Are lists of videos, their files or their features fit for training?"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from ...errors import some
from ...utils.arrays import open_array
from ...utils.checks import CheckResult, judge
from ..common.check import FETCH, MANY, SEVERAL, check_classes, check_values, problems_of, spread, try_build
from ..common.feature_files import feature_path
from ..common.fit import BY_HEADER, SLACK, misfit
from ..readers.base import open_video
from ..readers.pyav import read_header


def check_clips(
    build: Callable, arguments: Mapping[str, Any], *, full: bool = True, workers: int = 4
) -> list[CheckResult]:
    """Check a `VideoFolder`: its list and files, which the full check decodes as training does; else headers.

    Args: see `check_features`.
    """
    data, failed = try_build("videos", build, arguments)
    if failed:
        return failed
    found = [judge("videos", f"{len(data)} videos of {len(data.classes)} classes"), check_classes(data, arguments)]
    if data.feature_dim is not None:
        return [*found, *_frame_features(data, arguments["features"], full, workers)]
    paths = [data.root / video.path for video in data.listed.videos]
    looked = range(len(paths)) if full else spread(len(paths), SEVERAL)

    def decode(number):
        data.clip(number, Random(number))

    problems = problems_of([lambda n=n: decode(n) if full else read_header(paths[n]) for n in looked], workers)
    bad = f"{len(problems)} of {len(looked)} cannot be {'decoded' if full else 'opened'}: {some(problems)}"
    summary = f"the frames of {len(looked)} were decoded" if full else f"the headers of {len(looked)} were read"
    found.append(judge("files", "" if problems else summary, error=bad if problems else "", hint=FETCH))
    if full and not problems:
        found.append(_whole(paths, workers))
    return found


def _frame_features(data, folder, full, workers):
    """Check features of frames (V, T, E)."""
    paths = [feature_path(folder, name) for name in data.videos]
    if full:
        return check_values(paths, lambda n: data[n]["inputs"].numpy(), workers)
    looked = spread(len(paths), MANY)

    def look(path):
        array = open_array(path)
        if array.ndim != 3 or array.shape[2] != data.feature_dim:
            raise ValueError(
                f"features {path} have shape {array.shape}; (views, frames, {data.feature_dim}) is expected"
            )

    problems = problems_of([lambda n=n: look(paths[n]) for n in looked], workers)
    bad = f"{len(problems)} of {len(looked)} do not fit: {some(problems)}" if problems else ""
    hint = "make them again with opentad-bi extract-clip-features"
    return [judge("features", f"the headers of {len(looked)} were read", error=bad, hint=hint)]


def _whole(paths, workers):
    """Do the files have the frames that their containers count?  A file that was cut short plays as a shorter one."""
    short = []

    def look(path):
        counts = read_header(path).frames
        with open_video(path) as video:
            length = len(video)
        if counts and all(misfit(length, count, SLACK, BY_HEADER) and length < count for count in counts):
            short.append(f"{path} has {length} of {min(counts)} frames")

    problems = problems_of([lambda p=path: look(p) for path in paths], workers) + sorted(short)
    bad = f"{len(problems)} are shorter than they say, or cannot be read: {some(problems)}" if problems else ""
    return judge("lengths", f"{len(paths)} have the frames that they count", warning=bad, hint=FETCH)
