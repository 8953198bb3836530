"""Checks of the values that a config gives a component: the value as it is, or an error that names it."""

import math
from numbers import Real

from ..registry import nearest
from .files import read_names


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
    """`value` if it is one of `choices`; ValueError naming `where` and all of them otherwise."""
    if value not in choices:
        raise ValueError(f"{where} {value!r} is not a choice; {nearest(value, choices, every=True)}")
    return value


def check_count(where, value, *, lowest=1, optional=False):
    """`value` if it is a whole number from `lowest` on, or None if `optional`; ValueError naming `where` otherwise."""
    if optional and value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        also = " or None" if optional else ""
        raise ValueError(f"{where} {value!r} must be a whole number of at least {lowest}{also}")
    return value


def check_number(where, value, *, positive=False):
    """`value` if it is a finite number of at least 0, or above 0 if `positive`; ValueError naming `where` otherwise."""
    if not _finite(value) or value < 0 or (positive and value == 0):
        raise ValueError(f"{where} {value!r} must be a finite number {'above 0' if positive else 'of at least 0'}")
    return value


def check_share(where, value):
    """`value` if it is a number from 0 on and below 1; ValueError naming `where` otherwise."""
    if not _finite(value) or not 0 <= value < 1:
        raise ValueError(f"{where} {value!r} must be a number from 0 on and below 1")
    return value


def _finite(value):
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
