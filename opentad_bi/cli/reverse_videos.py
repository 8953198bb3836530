"""Write the time-reversed copy of a video, or of every video of a folder."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from ..errors import some
from ..ops.names import VIDEO_SUFFIXES
from ..prepare.reverse.folder import UNRECORDED, Job, plan, reverse_folder
from .common import Parser, command

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    cli.add_argument("src", type=Path, metavar="SRC", help="folder of videos (searched recursively) or one video")
    cli.add_argument("dst", type=Path, metavar="DST", help="folder (or file) to write; relative names are kept")
    cli.add_argument("--workers", type=_positive, help="processes (default: one per core)")
    quality = cli.add_mutually_exclusive_group()
    quality.add_argument(
        "--crf", type=int, choices=range(52), metavar="N", default=18, help="quality 0 to 51, smaller is better"
    )
    quality.add_argument("--lossless", action="store_true", help="keep every bit of every frame")
    cli.add_argument("--gop", type=_positive, default=60, help="most frames between keyframes")
    cli.add_argument("--preset", default="veryfast", choices=PRESETS, metavar="NAME", help="encoder preset")
    cli.add_argument("--chunk", type=_positive, default=600, help="most decoded frames in memory")
    cli.add_argument("--ext", nargs="+", default=VIDEO_SUFFIXES, help="suffixes that count as video")
    cli.add_argument("--overwrite", action="store_true", help="make results again that exist")
    cli.add_argument("--keep-damaged", action="store_true", help="reverse what can be read of damaged videos")
    cli.add_argument("--verify", action="store_true", help="compare every result with its source afterwards")
    return cli


def jobs_of(args):
    """Translate the command line into jobs."""
    options = {k: getattr(args, k) for k in ("crf", "lossless", "gop", "preset", "chunk", "overwrite", "keep_damaged")}
    if args.src.is_file():
        if args.dst.resolve() == args.src.resolve():
            raise ValueError(f"{args.src} cannot be reversed onto itself")
        dst = args.dst / args.src.name if args.dst.is_dir() else args.dst
        return [Job(args.src, dst, options, args.verify)]
    jobs = plan(args.src, args.dst, extensions=args.ext, options=options, verify=args.verify)
    for job in jobs:
        job.options["threads"] = 0 if args.workers == 1 or len(jobs) == 1 else 1
    return jobs


def run(args):
    """Return 0 if every video is reversed, 1 if any failed."""
    jobs = jobs_of(args)
    sizes = {job.src: job.src.stat().st_size for job in jobs}
    outcomes = []
    with tqdm(total=sum(sizes.values()), unit="B", unit_scale=True, desc=f"{len(jobs)} videos") as bar:
        for outcome in reverse_folder(jobs, workers=args.workers):
            outcomes.append(outcome)
            bar.update(sizes[outcome.src])
            bar.set_postfix_str(f"{len(outcomes)}/{len(jobs)} {outcome.src.name}")
            if outcome.status == "failed":
                bar.write(f"failed: {outcome.note}", file=sys.stderr)
    print(summary(outcomes))
    return int(any(o.status == "failed" for o in outcomes))


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def summary(outcomes):
    """Format the outcomes as a table of counts, then what failed and what was made anew, and why."""
    counts = Counter(o.status for o in outcomes)
    rows = [f"{'status':<10}{'videos':>8}{'frames':>12}{'worker sec':>12}"]
    for status in ("reversed", "finished", "failed"):
        own = [o for o in outcomes if o.status == status]
        frames, spent = sum(o.frames for o in own), sum(o.seconds_spent for o in own)
        rows.append(f"{status:<10}{counts[status]:>8}{frames:>12}{spent:>12.1f}")
    rows += [f"  {o.src}: {o.note}" for o in outcomes if o.note and o.note != UNRECORDED]
    if old := [o.src for o in outcomes if o.note == UNRECORDED]:
        rows.append(f"  {len(old)} finished: the result {UNRECORDED}: {some(old)}")
    return "\n".join(rows)
