"""Checks that need the annotation file and the class map only.  A finding is a row (level, video, problem)."""

import json
from pathlib import Path

from .annotation import (
    AMBIGUOUS,
    entry_problem,
    read_block_list,
    read_class_map,
    segment_problem,
    select_names,
)

FPS = (1, 240)


def check_annotation(arguments):
    """Check the annotation of a dataset config (without `type`).

    Returns:
        findings, and {name: entry} of the well-formed videos of the subset (empty where the file cannot be read).
    """
    try:
        database, findings = _database(arguments["ann_file"])
    except (OSError, ValueError, KeyError) as error:
        return [("error", "", _text(error))], {}
    classes, found = _read(read_class_map, arguments.get("class_map", ""))
    findings += found
    blocked, found = _read(read_block_list, arguments.get("block_list"))
    findings += found
    for name in sorted((blocked or frozenset()) - set(database)):
        findings.append(("warning", name, "is on the block list but not in the annotation"))
    sound = {}
    for name, entry in database.items():
        problem = entry_problem(entry)
        if problem:
            findings.append(("error", name, problem))
        else:
            sound[name] = entry
    try:
        names = select_names(sound, arguments["subset_name"], blocked or frozenset())
    except ValueError as error:
        return [*findings, ("error", "", _text(error))], {}
    entries = {name: sound[name] for name in names}
    for name, entry in entries.items():
        findings += [(level, name, problem) for level, problem in _check_entry(entry, classes)]
    if not arguments.get("test_mode") and not any(_valid(entry, classes) for entry in entries.values()):
        findings.append(("error", "", f"no video of subset {arguments['subset_name']!r} has ground truth"))
    return findings, entries


def _database(ann_file):
    """The database of an annotation file and findings for names that are there twice."""
    path = Path(ann_file)
    if not path.is_file():
        raise FileNotFoundError(f"annotation {path} does not exist")
    twice = []

    def build(pairs):
        keys = [key for key, _ in pairs]
        twice.extend({key for key in keys if keys.count(key) > 1} if len(set(keys)) < len(keys) else ())
        return dict(pairs)

    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=build)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"annotation {path} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("database"), dict):
        raise ValueError(f"annotation {path} has no object 'database'")
    findings = [("error", name, "is there more than once; only the last one counts") for name in sorted(twice)]
    return content["database"], findings


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
    items = [item for item in entry.get("annotations", []) if item["label"] != AMBIGUOUS]
    unknown = sorted({item["label"] for item in items} - set(classes)) if classes is not None else []
    if unknown:
        yield "error", f"labels {unknown} are not in the class map"
    for item in items:
        problem = segment_problem(item["segment"], duration, tolerance=duration / frames)
        if problem:
            yield "error", problem
    kept = {(*item["segment"], item["label"]) for item in items}
    if len(kept) < len(items):
        yield "warning", f"{len(items) - len(kept)} annotations repeat another one"


def _valid(entry, classes):
    """Is there an action of a known class in the video?"""
    return any(
        item["label"] != AMBIGUOUS
        and (classes is None or item["label"] in classes)
        and segment_problem(item["segment"], entry["duration"], entry["duration"]) is None
        for item in entry.get("annotations", [])
    )


def _text(error):
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
