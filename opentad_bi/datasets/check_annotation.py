"""Checks that need the annotation file and the class map only.  A finding is a row (level, video, problem)."""

from ..utils.annotation import (
    actions,
    frame_seconds,
    is_far_outside,
    named,
    parse_database,
    segment_problem,
    select_names,
)
from .annotation import read_block_list, read_class_map
from .file_length import with_length
from .transforms.compose import Compose

FPS = (1, 240)


def check_annotation(arguments):
    """Check the annotation of a dataset config (without `type`).

    Returns:
        findings, and {name: entry} of the well-formed videos of the subset (empty where the file cannot be read),
        with the `duration` and `frame` that training takes, see `file_length.with_length`.
    """
    repeated, where = [], named(arguments["ann_file"])
    try:
        sound, malformed = parse_database(arguments["ann_file"], repeated=repeated)
    except (OSError, ValueError, KeyError) as error:
        return [("error", "", _text(error))], {}
    findings = [("error", name, "is there more than once; only the last one counts") for name in sorted(set(repeated))]
    findings += [("error", name, problem) for name, problem in malformed.items()]
    classes, found = _read(read_class_map, arguments.get("class_map", ""))
    findings += found
    blocked, found = _read(read_block_list, arguments.get("block_list"))
    findings += found
    for name in sorted((blocked or frozenset()) - set(sound) - set(malformed)):
        findings.append(("warning", name, "is on the block list but not in the annotation"))
    try:
        names = select_names(sound, arguments["subset_name"], blocked or frozenset(), where)
    except ValueError as error:
        return [*findings, ("error", "", _text(error))], {}
    entries, found = _with_lengths({name: sound[name] for name in names}, arguments)
    findings += found
    for name, entry in entries.items():
        findings += [(level, name, problem) for level, problem in _check_entry(entry, classes)]
    if not arguments.get("test_mode") and not any(_valid(entry, classes) for entry in entries.values()):
        findings.append(("error", "", f"no video of subset {arguments['subset_name']!r} has ground truth"))
    return findings, entries


def _with_lengths(entries, arguments):
    """The entries of videos whose length is known, or can be had from their files, and findings on the others."""
    try:
        steps = Compose(arguments["pipeline"]).steps
    except (KeyError, TypeError, ValueError):  # the check of the media reports it
        steps = []
    options = {"file_format": arguments.get("file_format", "mp4"), "feature_stride": arguments.get("feature_stride", 4)}
    found, findings = {}, []
    for name, entry in entries.items():
        try:
            found[name] = with_length(name, entry, steps=steps, data_path=arguments["data_path"], **options)
        except (ValueError, FileNotFoundError) as error:
            findings.append(("error", name, _text(error)))
    return found, findings


def _read(reader, path):
    """What `reader` gives and no findings, or None and the finding."""
    try:
        return reader(path), []
    except (OSError, ValueError) as error:
        return None, [("error", "", _text(error))]


def _check_entry(entry, classes):
    """(level, problem) of one well-formed entry; `classes` None skips the labels."""
    duration, frames = entry["duration"], entry["frame"]
    fps = frames / duration
    if not FPS[0] <= fps <= FPS[1]:
        yield "warning", f"{frames} frames in {duration} s are {fps:.2f} frames per second"
    items = actions(entry)
    unknown = sorted({item["label"] for item in items} - set(classes)) if classes is not None else []
    if unknown:
        yield "error", f"labels {unknown} are not in the class map"
    for item in items:
        problem = segment_problem(item["segment"], duration, tolerance=frame_seconds(entry))
        if problem:
            far = is_far_outside(item["segment"], duration)
            yield ("error", problem) if far else ("warning", f"{problem}; it is clipped to the video, or left out")
    kept = {(*item["segment"], item["label"]) for item in items}
    if len(kept) < len(items):
        yield "warning", f"{len(items) - len(kept)} annotations repeat another one"


def _valid(entry, classes):
    """Is there an action of a known class in the video?"""
    return any(
        (classes is None or item["label"] in classes)
        and segment_problem(item["segment"], entry["duration"], entry["duration"]) is None
        for item in actions(entry)
    )


def _text(error):
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
