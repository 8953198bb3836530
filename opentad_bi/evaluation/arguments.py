"""Checks of what a config gives a metric."""

import math

from ..utils.files import read_names


def check_classes(classes):
    """Names of classes, given as a list or a file, as a list; ValueError for none or for one name twice."""
    names = read_names(classes, "classes")
    if not names:
        raise ValueError("classes are missing: give their names in the order of the labels")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"classes {', '.join(map(repr, twice))} are named twice in {names}")
    return names


def check_choice(where, value, choices):
    """`value` if it is one of `choices`; ValueError naming `where` otherwise."""
    if value not in choices:
        raise ValueError(f"{where} {value!r} is not one of {', '.join(map(repr, choices))}")
    return value


def check_count(where, value, lowest=1):
    """`value` if it is a whole number of at least `lowest`; ValueError naming `where` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"{where} {value!r} must be a whole number of at least {lowest}")
    return value


def check_number(where, value, *, positive=False):
    """`value` if it is a finite number of at least 0, or above 0 if `positive`; ValueError naming `where` otherwise."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (positive and value == 0):
        raise ValueError(f"{where} {value!r} must be a finite number {'above 0' if positive else 'of at least 0'}")
    return value
