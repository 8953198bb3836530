"""Are captioned videos with regions fit for training?  One result for each thing that can be wrong with them."""

import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

from ...errors import message_of, some
from ...utils.checks import ERROR, WARNING, CheckResult, attempt, has_errors, judge
from ..common.video_paths import find_video_file
from ..readers.base import open_video
from .captions import bad_windows, captioned_videos, categories, label_videos
from .frame_counts import describe_beyond, describe_factors, fit_frames
from .regions import VisibilityTrack
from .split_guard import guard

MANY = 0.5  # share of captions that other videos have too, from which on it is worth a word
_READING = ("classes", "normal_class", "frame_base", "on_bad_box", "on_bad_entry", "caption_map", "on_chinese",
            "empty_caption")  # fmt: skip


def check_regions(
    build: Callable[..., Any], arguments: Mapping[str, Any], *, full: bool = True, workers: int = 4
) -> list[CheckResult]:
    """Look at a set of captioned videos.

    Args:
        full: decode frames of every file too, and count which regions the chosen frames hit.
        workers: files opened at the same time.
    Returns:
        list of `CheckResult`; an error in the caption files is the only one, as the other checks need them.
    """
    options = {**_defaults(build), **arguments}
    reading = {name: options[name] for name in _READING}
    try:
        records, report = captioned_videos(options["ann_files"], **reading)
    except OSError as error:
        return [CheckResult("captions", ERROR, str(error), "put the file there, or name another by ann_files")]
    except (ValueError, KeyError) as error:
        hint = "correct the file; on_bad_entry='skip' and on_bad_box='drop' leave out what is wrong, and count it"
        return [CheckResult("captions", ERROR, message_of(error), hint)]
    found = [_captions(report), _distinct(report, learned=not options["test_mode"]), _regions(report), _boxes(report)]
    if not options["test_mode"]:
        found += _leak(records, options)
    paths, missing = _find(records, options)
    found += [_files(records, missing, options["tolerate"]), *_labels(records, options), _kinds(report)]
    fit = fit_frames(records, paths, workers=workers)
    found.append(_counts(records, fit, options["on_bad_entry"] == "skip"))
    records = fit.records
    if any(record.window for record in records):
        found += attempt("windows", lambda: _windows(records, paths, options, workers))
    if full and not missing:
        found.append(_frames(records, paths, options, workers))
    if full and not has_errors(found):
        found += attempt("hits", lambda: _hits(build(**arguments).statistics(), options))
    return found


def _defaults(build):
    parameters = inspect.signature(build).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _captions(report):
    """The files can be read; what their texts are like."""
    problems = [f"{report.chinese_captions + report.chinese_region_captions} texts hold Chinese"] * bool(
        report.chinese_captions + report.chinese_region_captions
    )
    names = {what: f" ({some(own)})" for what, own in report.names().items()}
    problems += [f"{count} are left out: {reason}{names.get(reason, '')}" for reason, count in report.skipped.items()]
    if report.assumed_normal:
        problems.append(
            f"{report.assumed_normal} of no known class and without boxes are taken as normal{names['assumed_normal']}"
        )
    problems += [f"{report.repeated_videos} are of a video that another has too"] * bool(report.repeated_videos)
    problems += [f"{report.empty_captions} captions are empty"] * bool(report.empty_captions)
    if report.unequal_lists:
        problems.append(
            f"{report.unequal_lists} entries have other numbers of captions and boxes{names['unequal_lists']}"
        )
    return judge(
        "captions", str(report), warning="; ".join(problems),
        hint="translate Chinese texts by a caption_map, or on_chinese='skip'; look at the entries that are named",
    )  # fmt: skip


def _distinct(report, learned):
    """How many texts there are; few are a warning where they are learned from, as equal ones are not negatives."""
    share = report.duplicate_share
    many = f"{share:.0%} of the captions are said of other videos too" if share > MANY and learned else ""
    summary = f"{report.distinct_captions} of {report.captions} captions are distinct"
    return judge("duplicates", summary, warning=many, hint="no negatives of each other; more wordings would teach more")


def _regions(report):
    patterns = ", ".join(f"{pattern} {count}" for pattern, count in report.patterns.most_common(6))
    summary = (
        f"{report.boxed_regions} of {report.regions} regions have boxes, {report.keyframes} keyframes ({patterns})"
    )
    none = "no region has a box, so the loss of regions is 0" if not report.boxed_regions else ""
    return judge("regions", summary, warning=none, hint="add keyframes, or set model.region_weight=0")


def _boxes(report):
    dropped = f"{report.dropped_boxes} keyframes are left out, as their box has no area" if report.dropped_boxes else ""
    lost = f"{report.skipped_regions} regions are left out: {some(report.region_problems)}"
    problems = "; ".join([dropped] * bool(dropped) + [lost] * bool(report.skipped_regions))
    which = "all others" if problems else "all"
    summary = f"{which} are in the picture, {report.clipped_boxes} after clipping what reached out by up to 2 %"
    return judge("boxes", summary, warning=problems, hint="on_bad_box='error' and on_bad_entry='error' name the first")


def _leak(records, options):
    if options["forbid_list"] is None:
        hint = "give the official list of test videos as forbid_list"
        return [CheckResult("test videos", WARNING, "it is not known which videos must not be trained on", hint)]

    def look():
        kept = guard(records, options["forbid_list"], drop=options["drop_forbidden"])
        return judge("test videos", f"none among the {len(kept)} entries, {len(records) - len(kept)} were left out")

    return attempt("test videos", look, hint="drop_forbidden=True leaves them out")


def _find(records, options):
    """(paths or None, in the order of the records; {name: error})."""
    paths, missing = [], {}
    for record in records:
        try:
            paths.append(find_video_file(record.path, options["root"], options["layouts"]))
        except (FileNotFoundError, ValueError) as error:
            paths.append(None)
            missing[record.name] = error
    return paths, missing


def _files(records, missing, tolerate):
    summary = f"{len(records) - len(missing)} of {len(records)} videos have a file"
    hint = "set root and layouts to where the files are, or tolerate to the share that may be missing"
    if not missing:
        return judge("files", summary)
    text = f"{summary}; there is none of {some(list(missing))}; {next(iter(missing.values()))}"
    fatal = len(missing) > tolerate * len(records) or len(missing) == len(records)
    return CheckResult("files", ERROR if fatal else WARNING, text, hint)


def _counts(records, fit, skip):
    """Are the frames of the captions those of the files?"""
    said = sum(bool(record.frames or record.fps) for record in records)
    summary = f"{fit.compared} of {len(records)} videos compared, {said} say their frames or frames per second"
    if fit.factors:
        summary += f"; {describe_factors(records, fit)}"
    bad = some(list(fit.problems.values()))
    kinds = {"warning": describe_beyond(fit) if fit.beyond else ""}
    if bad:
        kinds = {"warning" if skip else "error": f"{len(fit.problems)} do not fit: {bad}"}
    hint = "get the videos that were annotated; on_bad_entry='skip' leaves such entries out"
    return judge("frame counts", summary, hint=hint, **kinds)


def _windows(records, paths, options, workers):
    """Do the windows lie in their files?  Opens each file that has one."""

    def about(path):
        with open_video(path, options["reader"], options["num_threads"]) as video:
            return len(video), float(video.fps)

    bad = bad_windows(records, paths, about, workers=workers)
    summary = f"{sum(record.window is not None for record in records) - len(bad)} lie in their videos"
    text = f"{len(bad)} do not: {some(list(bad.values()))}" if bad else ""
    skip = options["on_bad_entry"] == "skip" and len(bad) < len(records)
    hint = "correct the timestamps" if skip else "correct the timestamps; on_bad_entry='skip' leaves such entries out"
    return judge("windows", summary, hint=hint, **{"warning" if skip else "error": text})


def _labels(records, options):
    def look():
        names = options["classes"]
        classes = categories(records, options["normal_class"]) if names is None else names
        labels = label_videos(records, classes, options["normal_class"])
        counts = {name: int((labels == label).sum()) for label, name in enumerate(classes)}
        return judge("classes", ", ".join(f"{name} {count}" for name, count in counts.items() if count))

    return attempt("classes", look, hint="correct the categories, or the classes of the config")


def _kinds(report):
    normal = report.videos - report.abnormal
    none = "" if normal and report.abnormal else f"no video is {'abnormal' if normal else 'normal'}"
    summary = f"{normal} normal and {report.abnormal} abnormal videos"
    return judge("kinds", summary, warning=none, hint="what is normal is best learned from normal videos; add some")


def _frames(records, paths, options, workers):
    """Do the files decode where frames are needed?"""
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        problems = [text for texts in pool.map(_decode, records, paths, repeat(options)) for text in texts]
    summary = f"the first, the middle and the last frame of a region were decoded, of {len(paths)} videos"
    bad = f"{len(problems)} problems: {some(problems)}" if problems else ""
    return judge("frames", summary, error=bad, hint="get these files again, or take their entries out")


def _decode(record, path, options):
    """What is wrong with the first, the middle and the last frame that a region is in, of one file."""
    tracks = [
        VisibilityTrack(region, enabled_mode=options["enabled_mode"]) for region in record.regions if region.keyframes
    ]
    try:
        with open_video(path, options["reader"], options["num_threads"]) as video:
            length = len(video)
            late = [track for track in tracks if track.frames[0] >= length]
            last = max((int(track.frames[-1]) for track in tracks if track not in late), default=0)
            video.frames(sorted({0, length // 2, min(last, length - 1)}))
    except (OSError, ValueError, ImportError) as error:
        return [str(error)]
    begins = f"{len(late)} regions of {record.name} begin beyond its {length} frames; is frame_base right?"
    return [begins] if late else []


def _hits(numbers, options):
    summary = (
        f"at {options['frames']} frames {numbers['used']} of {numbers['regions']} regions are used, in "
        f"{numbers['region_frames']:.1f} frames on average; no evenly spread frame hits {numbers['missed']}, so "
        f"{numbers['moved']} frames are moved; {numbers['short']} have fewer than {options['min_region_frames']}; "
        f"{numbers['padded']} videos are shorter"
    )
    lost = numbers["regions"] - numbers["used"] - numbers["too_many"]
    return judge(
        "hits", summary, warning=f"{lost} regions are lost" if lost else "", hint="more frames; policy='ensure'"
    )
