"""The record beside made files, which says what made them, so that those of other settings never lie among them."""

from pathlib import Path

from .distributed import barrier, is_main
from .files import read_json, write_json
from .logging import LOGGER
from .wording import some

FEATURE_RECORD = "features.json"  # of class folders of features; it stays beside them


def check_record(path, settings, *, overwrite=False, part=None, defaults=None):
    """Refuse to mix with files of other settings, as the record at `path` tells.

    A first run that was interrupted goes on; where an overwriting was, files may still be the former ones.

    Args:
        path: the JSON file; nothing is refused where there is none.
        settings: what the files depend on, {name: value as JSON reads it back}.
        overwrite: True if all files are made again.
        part: key under which the record has its settings; None: they are entries of the record itself.
        defaults: settings of records that do not say.
    Raises:
        ValueError: other settings, which are named, or an overwriting that did not end.
    """
    if overwrite or not path.is_file():
        return
    record = read_json(path, "record of features")
    former = {**(defaults or {}), **(record.get(part, {}) if part else record)}
    differ = [key for key in settings if former.get(key) != settings[key]]
    if differ:
        raise ValueError(
            f"{path} tells of features made otherwise, in {', '.join(differ)}; choose another --out, or make them "
            "again with --overwrite"
        )
    if record.get("overwrites") and not record.get("complete", True):
        raise ValueError(
            f"{path} tells of an --overwrite that did not end, so that former files may be left among the new ones; "
            "make them again with --overwrite, or choose another --out"
        )


def read_feature_record(folder):
    """The record of the features in `folder`, or None; a warning tells of an extraction that did not end.

    Raises:
        ValueError: it is no JSON object.
    """
    path = Path(folder) / FEATURE_RECORD
    if not path.is_file():
        return None
    record = read_json(path, "record of features")
    if not isinstance(record, dict):
        raise ValueError(f"record of features {path} holds a {type(record).__name__} where a JSON object is expected")
    failed, complete = record.get("failed") or (), record.get("complete", True)
    if failed or not complete:
        LOGGER.warning(
            "%s tells of an extraction that did not end (complete: %s; failed: %s), so features may be missing",
            path,
            str(bool(complete)).lower(),
            some(failed) or "none",
        )
    return record


def write_records(records, **state):
    """Write every {path: record} with `state`, once all processes are here; one of them writes."""
    barrier()
    if is_main():
        for path, record in records.items():
            write_json(path, {**record, **state})
