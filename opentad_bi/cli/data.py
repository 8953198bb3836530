"""Make data of data: reverse videos and annotation, join clips, import annotation, lay out features."""

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from ..errors import some
from ..evaluation.common.frame_annotation import read_frame_annotation
from ..ops.names import VIDEO_SUFFIXES
from ..prepare.join_clips import Format, make_untrimmed
from ..prepare.label_studio import import_file, import_timeline_file
from ..prepare.layout import summary
from ..prepare.reverse.annotations import reverse_annotation_file
from ..prepare.reverse.folder import UNRECORDED, Job, Outcome, plan, reverse_folder
from ..prepare.ucf_crime import ANNOTATION, CLASSES, lay_out, read_list
from ..utils.annotation import holds_timeline
from ..utils.files import read_json, read_text, write_text
from ..utils.logging import LOGGER
from .common import make_writable

CLASS_MAP = "category_idx.txt"


def reverse_videos(args: Namespace) -> int:
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
    print(outcome_table(outcomes))
    return int(any(o.status == "failed" for o in outcomes))


def jobs_of(args: Namespace) -> list[Job]:
    """Translate the command line into jobs."""
    options = {k: vars(args)[k] for k in ("crf", "lossless", "gop", "preset", "chunk", "overwrite", "keep_damaged")}
    if args.src.is_file():
        if args.dst.resolve() == args.src.resolve():
            raise ValueError(f"{args.src} cannot be reversed onto itself")
        dst = args.dst / args.src.name if args.dst.is_dir() else args.dst
        return [Job(args.src, dst, options, args.verify)]
    jobs = plan(args.src, args.dst, extensions=args.ext or VIDEO_SUFFIXES, options=options, verify=args.verify)
    for job in jobs:
        job.options["threads"] = 0 if args.workers == 1 or len(jobs) == 1 else 1
    return jobs


def outcome_table(outcomes: Sequence[Outcome]) -> str:
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


def reverse_annotations(args: Namespace) -> int:
    """Write the file and say what is in it; returns 0."""
    videos, actions = reverse_annotation_file(args.src, args.dst, digits=args.round, overwrite=args.overwrite)
    print(f"{args.dst}: {videos} videos, {actions} actions")
    src, dst = (path.parent / CLASS_MAP for path in (args.src, args.dst))
    if src.is_file() and not dst.exists():
        write_text(dst, read_text(src, "class map"))
        print(f"{dst}: the class map, copied")
    return 0


def join_clips(args: Namespace) -> int:
    """Write the set and print what is in it; returns 0."""
    options = {k: vars(args)[k] for k in ("actions", "background", "videos", "passes", "seed", "overwrite")}
    width, height = args.size
    target = Format(width, height, args.fps, args.fit)
    database = make_untrimmed(args.src, args.dst, target=target, split=args.train_ratio, **options)
    print(summary(args.dst, database))
    return 0


def label_studio(args: Namespace) -> int:
    """Write the file and say what is in it; returns 0."""
    options = {"video_key": args.video_key, "overwrite": args.overwrite}
    if (args.form or _form(args.src)) == "actions":
        options |= {key: vars(args)[key] for key in ("fps", "video_root", "first_frame", "subset")}
        counts = import_timeline_file(args.src, args.dst, **options)
    else:
        counts = import_file(args.src, args.dst, on_bad_region=args.on_bad_region, **options)
    print(f"{args.dst}: " + ", ".join(f"{count} {name}" for name, count in counts.items() if count))
    return 0


def _form(src: Path) -> str:
    """What is made of an export by default; ValueError if it has both timeline labels and boxes."""
    content = read_json(src, "export of Label Studio")
    if not holds_timeline(content):
        return "captions"
    if "videorectangle" in str(content):
        raise ValueError(f"{src} has both timeline labels and boxes; choose --form actions or --form captions")
    return "actions"


def ucf_crime(args: Namespace) -> int:
    """Lay out the features and print what was found."""
    lists = Path(args.lists)
    train, test = (read_list(lists / name) for name in (args.train_list, args.test_list))
    annotation = lists / args.annotation
    events = read_frame_annotation(annotation, normal_class=CLASSES[0])
    make_writable(args.out, "the argument OUT")
    table, unknown = lay_out(args.out, features=args.features, train=train, test=test, events=events, copy=args.copy)
    write_text(Path(args.out) / ANNOTATION, read_text(annotation, "temporal annotation"))
    print(table.to_string())
    for split in ("train", "test"):
        if not table.loc["all", f"{split} found"]:
            LOGGER.warning("no features of the %s videos were found below %s", split, args.features)
    if unknown:
        LOGGER.warning("%d files are of no listed video and were left out, such as %s", len(unknown), some(unknown))
    return 0
