"""Names of classes: the official files that number them, and how a prompt spells them."""

import csv
import re
from pathlib import Path

from ..utils.files import read_lines

_NUMBERED = re.compile(r"\d+\s+\S.*")
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def class_prompt_name(name):
    """The name of a class as words: split at '_' and before capitals, "ApplyEyeMakeup" -> "Apply Eye Makeup"."""
    return " ".join(_WORD_STARTS.sub(" ", str(name).replace("_", " ")).split())


def read_class_index(path):
    """Read a classInd file of UCF101: lines "1 ApplyEyeMakeup", numbered from 1 in any order.

    Returns:
        tuple of C names, by label from 0.
    Raises:
        FileNotFoundError, ValueError: naming file, line and value.
    """
    rows = [(line, text, text.split(maxsplit=1)) for line, text in read_lines(path, "class index")]
    for line, text, parts in rows:
        if len(parts) != 2:
            raise ValueError(f"class index {path}, line {line}: {text!r} is not a number and a name")
    return _by_number(path, [(line, *parts) for line, _, parts in rows], first=1)


def read_label_table(path):
    """Read a table of labels: CSV with the columns id (from 0) and name.

    Returns:
        tuple of C names, by label.
    Raises:
        FileNotFoundError, ValueError: naming file, line and value.
    """
    rows = read_table(path, "label table", ("id", "name"))
    return _by_number(path, [(line, row["id"], row["name"]) for line, row in rows], first=0)


def read_class_names(path):
    """Read a file with one name of a class per line, in the order of the labels.

    Returns:
        tuple of C names, by label.
    Raises:
        FileNotFoundError, ValueError: no such file, or a name that stands there twice.
    """
    lines = read_lines(path, "list of classes")
    return _by_number(path, [(line, str(label), name) for label, (line, name) in enumerate(lines)], first=0)


def read_classes(source):
    """Names of classes by label, whatever they come from.

    Args:
        source: a list of names; a table of labels (.csv); a file of lines "1 name" like classInd.txt; or a file with
            one name per line.
    Returns:
        tuple of C names.
    Raises:
        FileNotFoundError, ValueError: as the reader of that form says.
    """
    if not isinstance(source, (str, Path)):
        return tuple(source)
    if Path(source).suffix == ".csv":
        return read_label_table(source)
    numbered = all(_NUMBERED.fullmatch(text) for _, text in read_lines(source, "list of classes"))
    return read_class_index(source) if numbered else read_class_names(source)


def read_table(path, what, columns):
    """The rows of a CSV file with a header.

    Args:
        path: file in UTF-8.
        what: what the file is, for the messages.
        columns: names that the header must have.
    Returns:
        list of (line, {column: text without blanks at its ends}).
    Raises:
        FileNotFoundError, ValueError: naming file, line and value.
    """
    read_lines(path, what)
    with Path(path).open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, skipinitialspace=True)
        header = [name.strip() for name in next(reader)]
        if lacking := [name for name in columns if name not in header]:
            raise ValueError(f"{what} {path} has no column {lacking[0]!r}; its columns: {', '.join(header)}")
        rows = []
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(header):
                raise ValueError(f"{what} {path}, line {reader.line_num}: {len(row)} values, {len(header)} columns")
            rows.append((reader.line_num, dict(zip(header, map(str.strip, row), strict=True))))
    return rows


def _by_number(path, rows, first):
    """Names in the order of their numbers, which must be `first` and all that follow; rows of (line, number, name)."""
    names, lines = {}, {}
    last = first + len(rows) - 1
    for line, number, name in rows:
        if not (number.isdecimal() and first <= int(number) <= last):
            raise ValueError(f"{path}, line {line}: number {number!r} is none of {first}..{last}, one per class")
        if int(number) in names:
            raise ValueError(f"{path}, line {line}: number {number} is taken by {names[int(number)]!r} already")
        if not name or name in lines:
            where = f"stands in line {lines[name]} already" if name else "is no name"
            raise ValueError(f"{path}, line {line}: class {name!r} {where}")
        names[int(number)], lines[name] = name, line
    return tuple(names[number] for number in sorted(names))
