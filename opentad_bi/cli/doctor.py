"""Check the installation, or whether a config is ready to train: a line each, and what to do."""

import importlib.metadata
import json
import os
import platform
import re
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from importlib import import_module
from pathlib import Path

from ..utils.checks import ERROR, WARNING, CheckResult, attempt, has_errors, judge, result_table

_REQUIREMENT = re.compile(r"[\w.-]+")
FRAMES, SIDE = 5, 64  # of the video that is written and read


def run(args: Namespace) -> int:
    """Print the results of all checks; returns 1 if one of them is an error."""
    if args.config is None:
        results = list(environment())
    else:  # a doctor must also run where PyTorch cannot be imported
        results = import_module(".readiness", __package__).ready(args)
    failed = has_errors(results)
    if args.json:
        print(json.dumps({"ready": not failed, "results": [asdict(result) for result in results]}, indent=2))
    else:
        print(result_table(results))
    return int(failed)


def environment() -> Iterator[CheckResult]:
    """Check Python and the package, what it requires, devices, video decoding, configs, and the folder."""
    package = import_module("opentad_bi")
    place = Path(package.__file__ or "").parent
    yield judge(
        "opentad_bi", f"{package.__version__} in {place}, Python {platform.python_version()} on {platform.platform()}"
    )
    yield from packages()
    for name, work in (("torch", _torch), ("video", _video), ("configs", _configs), ("folder", _folder)):
        yield from attempt(name, work)


def packages() -> Iterator[CheckResult]:
    """One result for each package that is required: its version, or that it is missing or cannot be imported."""
    try:
        required = importlib.metadata.requires("opentad_bi") or []
    except importlib.metadata.PackageNotFoundError:
        yield judge("packages", "opentad_bi is not installed", warning="not checked", hint="pip install -e .")
        return
    for line in required:
        found = _REQUIREMENT.match(line)
        if found is None or "extra ==" in line:
            continue
        try:
            yield judge(found[0], importlib.metadata.version(found[0]))
        except importlib.metadata.PackageNotFoundError:
            level = WARNING if ";" in line else ERROR  # those of some platforms alone
            yield CheckResult(found[0], level, "not installed", f"pip install '{line.partition(';')[0].strip()}'")


def _torch() -> CheckResult:
    torch = import_module("torch")
    text = f"{torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        return judge("devices", f"{text}, no CUDA device: everything runs on the CPU")
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return judge("devices", f"{text}, CUDA {torch.version.cuda}: {', '.join(names)}")


def _video() -> CheckResult:
    """Write a small video and read it with every reader; no ffmpeg program is needed."""
    import_module("opentad_bi.datasets")
    readers = import_module("opentad_bi.registry").READERS.module_dict
    open_video = import_module("opentad_bi.datasets.readers.base").open_video
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.mp4"
        _write_video(path)

        def read(name: str) -> CheckResult:
            return judge(name, str(open_video(path, name).frames([FRAMES - 1]).shape))

        trials = [result for name in readers for result in attempt(name, partial(read, name))]
    found = [trial.name for trial in trials if trial.level != ERROR]
    wrong = "; ".join(f"{trial.name}: {trial.found}" for trial in trials if trial.level == ERROR)
    told = f"H.264 is written, and read by {', '.join(found) or 'no reader'}"
    level = {"warning": wrong} if found else {"error": wrong}
    return judge("video", told, hint="pip install av decord; the default reader is pyav", **level)


def _write_video(path: Path) -> None:
    frame = import_module("av").VideoFrame.from_ndarray(
        import_module("numpy").zeros((SIDE, SIDE, 3), "uint8"), format="rgb24"
    )
    rate, tick = Fraction(25), Fraction(1, 25)
    with import_module("opentad_bi.prepare.h264").H264Writer(path, size=(SIDE, SIDE), rate=rate, time_base=tick) as out:
        for number in range(FRAMES):
            out.write(frame, number, 1)


def _configs() -> CheckResult:
    files = import_module("opentad_bi.utils.config_files")
    root, count = files.config_root(), len(files.shipped_configs())
    return judge("configs", f"{count} of them in {root}", error="" if count else "no configs", hint="install again")


def _folder() -> CheckResult:
    """Can runs be written to the working directory, and how much room is there?"""
    place = Path.cwd()
    stats = os.statvfs(place) if sys.platform != "win32" else None
    free = f", {stats.f_bavail * stats.f_frsize / 2**30:.0f} GiB free" if stats else ""
    shut = "" if os.access(place, os.W_OK) else "not writable"
    return judge("folder", f"{place}{free}", warning=shut, hint="choose folders by --work-dir and --out")
