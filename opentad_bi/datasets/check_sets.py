"""Are sets without an annotation file of actions fit for training?  One verdict on each thing that can be wrong.

T rows or frames, D, E width, V views, C classes
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import numpy as np

from ..errors import some
from ..utils.arrays import float32_table, huge, open_array
from ..utils.checks import Verdict, attempt, judge
from .check_fit import BY_HEADER, SLACK, misfit
from .clip_features import feature_path
from .feature_rows import map_file
from .readers import open_video
from .readers.header import read_header

MANY, SEVERAL = 1000, 64  # headers of arrays, and containers or files, that are read where not all are
FETCH = "get these files again, or take them out"


def unit_verdicts(build: Callable, arguments: dict, *, full: bool = True, workers: int = 4) -> list[Verdict]:
    """Verdicts on a `VideoFeatureDataset`: its folders, classes and events, and in the full check every number.

    Args:
        build: the dataset's class.
        arguments: those of its constructor.
        full: read every file, not only its header.
        workers: files opened at the same time.
    """
    data, failed = _built("features", build, arguments)
    if failed:
        return [failed]
    told = f"{len(data.files)} files (T, {data.feature_dim}) of {len(data.videos)} videos give {len(data)} samples"
    found = [judge("features", told), _classes(data, arguments), _crops(data.files)]
    if full:
        found += _values([file.path for file in data.files], lambda n: map_file(data.files[n]), workers)
    return found


def clip_verdicts(build: Callable, arguments: dict, *, full: bool = True, workers: int = 4) -> list[Verdict]:
    """Verdicts on a `VideoFolder`: its list and files, which the full check decodes as training does; else headers.

    Args: see `unit_verdicts`.
    """
    data, failed = _built("videos", build, arguments)
    if failed:
        return [failed]
    found = [judge("videos", f"{len(data)} videos of {len(data.classes)} classes"), _classes(data, arguments)]
    if data.feature_dim is not None:
        return [*found, *_frame_features(data, arguments["features"], full, workers)]
    paths = [data.root / video.path for video in data.listed.videos]
    looked = range(len(paths)) if full else spread(len(paths), SEVERAL)

    def decode(number):
        data.clip(number, Random(number))

    problems = _problems([lambda n=n: decode(n) if full else read_header(paths[n]) for n in looked], workers)
    bad = f"{len(problems)} of {len(looked)} cannot be {'decoded' if full else 'opened'}: {some(problems)}"
    told = f"the frames of {len(looked)} were decoded" if full else f"the headers of {len(looked)} were read"
    found.append(judge("files", "" if problems else told, error=bad if problems else "", cure=FETCH))
    if full and not problems:
        found.append(_whole(paths, workers))
    return found


def cache_verdicts(build: Callable, arguments: dict, *, full: bool = True, workers: int = 4) -> list[Verdict]:
    """Verdicts on `CachedPredictions`: the record and the files, all of them in the full check.

    Args: see `unit_verdicts`.
    """
    data, failed = _built("cached predictions", build, arguments)
    if failed:
        return [failed]
    looked = range(len(data)) if full else spread(len(data), SEVERAL)
    problems = _problems([lambda n=n: _finite_maps(data, n) for n in looked], workers)
    bad = f"{len(problems)} of {len(looked)} are damaged: {some(problems)}" if problems else ""
    told = f"{len(looked)} of {len(data)} files were read"
    return [judge("cached predictions", told, error=bad, cure="make them again with tools/cache_predictions.py")]


def unreadable(data: Sequence, workers: int = 4) -> list[str]:
    """What is wrong with those samples of a dataset that cannot be read."""
    return _problems([lambda n=n: data[n] for n in range(len(data))], workers)


def spread(count: int, most: int) -> Sequence[int]:
    """At most `most` of the numbers below `count`, spread evenly."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def _built(name, build, arguments):
    """The dataset and None, or None and the verdict on why it cannot be built."""
    made = []
    failed = attempt(name, lambda: made.append(build(**arguments)))
    return (None, failed) if failed else (made[0], None)


def _problems(jobs: Iterable[Callable], workers: int) -> list[str]:
    """The messages of those jobs that raise one."""

    def run(job):
        try:
            job()
        except Exception as error:  # a check goes on after whatever a damaged file causes
            text = str(error.args[0] if isinstance(error, KeyError) and error.args else error).strip()
            return text or type(error).__name__
        return None

    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        return [text for text in pool.map(run, jobs) if text is not None]


def _classes(data, arguments):
    """How many samples each class has; in training every class should have one, unless the config says otherwise."""
    counts = np.bincount(data.labels, minlength=len(data.classes))
    empty = [name for name, count in zip(data.classes, counts, strict=True) if not count]
    told = f"{counts.min()} to {counts.max()} samples of each of {len(counts)} classes"
    fine = arguments.get("test_mode") or arguments.get("allow_missing") or arguments.get("part") == "val"
    none = f"{len(empty)} have no sample: {some(empty)}" if empty and not fine else ""
    return judge("classes", told, warning=none, cure="nothing is learned of them; look at the list or the folders")


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
    told = f"{len(files) - len(rows)} files are further crops of a video"
    bad = f"{len(unequal)} videos have crops of different lengths: {some(unequal)}" if unequal else ""
    return judge("crops", told, warning=bad, cure="extract them again; is crop_separator right?")


def _values(paths, read, workers):
    """Verdicts on the numbers of files: all finite, none huge."""
    large = [""] * len(paths)

    def look(number):
        if text := huge(float32_table(read(number), f"features {paths[number]}")):
            large[number] = f"{paths[number]} holds {text}"

    problems = _problems([lambda n=n: look(n) for n in range(len(paths))], workers)
    bad = f"{len(problems)} files cannot be used: {some(problems)}" if problems else ""
    beyond = [text for text in large if text]
    many = f"{len(beyond)} files hold numbers that float16 cannot: {some(beyond)}" if beyond else ""
    told = f"all numbers of {len(paths)} files were read"
    return [judge("values", told, error=bad, warning=many, cure="extract these files again")]


def _frame_features(data, folder, full, workers):
    """Verdicts on features of frames (V, T, E)."""
    paths = [feature_path(folder, name) for name in data.videos]
    if full:
        return _values(paths, lambda n: data[n]["inputs"].numpy(), workers)
    looked = spread(len(paths), MANY)

    def look(path):
        array = open_array(path)
        if array.ndim != 3 or array.shape[2] != data.feature_dim:
            raise ValueError(
                f"features {path} have shape {array.shape}; (views, frames, {data.feature_dim}) is expected"
            )

    problems = _problems([lambda n=n: look(paths[n]) for n in looked], workers)
    bad = f"{len(problems)} of {len(looked)} do not fit: {some(problems)}" if problems else ""
    cure = "make them again with tools/extract_clip_features.py"
    return [judge("features", f"the headers of {len(looked)} were read", error=bad, cure=cure)]


def _whole(paths, workers):
    """Do the files have the frames that their containers count?  A file that was cut short plays as a shorter one."""
    short = []

    def look(path):
        counts = read_header(path).frames
        with open_video(path) as video:
            length = len(video)
        if counts and all(misfit(length, count, SLACK, BY_HEADER) and length < count for count in counts):
            short.append(f"{path} has {length} of {min(counts)} frames")

    problems = _problems([lambda p=path: look(p) for path in paths], workers) + sorted(short)
    bad = f"{len(problems)} are shorter than they say, or cannot be read: {some(problems)}" if problems else ""
    return judge("lengths", f"{len(paths)} have the frames that they count", warning=bad, cure=FETCH)


def _finite_maps(data, number):
    """Raise unless a kept sample holds finite maps of both directions."""
    sample = data[number]
    for direction, maps in sample["raw"].items():
        float32_table(maps.numpy(), f"cached predictions {data.files[number]}, {direction},")
