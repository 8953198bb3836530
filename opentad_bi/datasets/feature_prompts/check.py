"""Are feature files and their classes fit for training?"""

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import some
from ...utils.checks import CheckResult, judge
from ..common.check import check_classes, check_values, try_build
from ..common.fit import BY_HEADER, misfit
from .rows import map_file


def check_features(
    build: Callable, arguments: Mapping[str, Any], *, full: bool = True, workers: int = 4
) -> list[CheckResult]:
    """Check a `VideoFeatureDataset`: its folders, classes and events, and in the full check every number.

    Args:
        full: read every file, not only its header.
        workers: files opened at the same time.
    """
    data, failed = try_build("features", build, arguments)
    if failed:
        return failed
    summary = f"{len(data.files)} files (T, {data.feature_dim}) of {len(data.videos)} videos give {len(data)} samples"
    found = [judge("features", summary), check_classes(data, arguments), _crops(data.files)]
    if full:
        found += check_values([file.path for file in data.files], lambda n: map_file(data.files[n]), workers)
    return found


def _crops(files):
    """Do all files of a video have about as many rows?"""
    rows = {}
    for file in files:
        rows.setdefault(file.video, []).append(file.rows)
    unequal = [
        f"{video} has files of {min(own)} to {max(own)} rows"
        for video, own in rows.items()
        if misfit(max(own), min(own), 2, BY_HEADER)
    ]
    summary = f"{len(files) - len(rows)} files are further crops of a video"
    bad = f"{len(unequal)} videos have crops of different lengths: {some(unequal)}" if unequal else ""
    return judge("crops", summary, warning=bad, hint="extract them again; is crop_separator right?")
