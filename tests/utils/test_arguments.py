"""Values that a config gives: the value as it is, or an error that names it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.errors import some
from opentad_bi.utils.validation import check_choice, check_classes, check_count, check_number, check_share

NUMBERS = st.one_of(st.integers(-3, 3), st.floats(-2, 2), st.sampled_from([math.nan, math.inf, None, True, "1"]))


def passes(check, *args, **options):
    """Does a check give its value back?  An error that does not name what it is about is none of its own."""
    try:
        return check("that", *args, **options) is args[0]
    except ValueError as error:
        if not str(error).startswith(f"that {args[0]!r} must be "):
            raise
        return False


def plain(value, kinds):
    return type(value) in kinds and math.isfinite(value)


@given(NUMBERS, st.integers(0, 2), st.booleans())
def test_counts(value, lowest, optional):
    good = (type(value) is int and value >= lowest) or (optional and value is None)
    assert passes(check_count, value, lowest=lowest, optional=optional) == good


@given(NUMBERS, st.booleans())
def test_numbers(value, positive):
    good = plain(value, (int, float)) and (value > 0 if positive else value >= 0)
    assert passes(check_number, value, positive=positive) == good


@given(NUMBERS)
def test_shares(value):
    assert passes(check_share, value) == (plain(value, (int, float)) and 0 <= value < 1)


def test_a_choice_is_one_of_all_which_are_told():
    assert check_choice("mode", "off", ("post_event", "event_only", "off")) == "off"
    message = r"mode 'postevent' is not a choice; did you mean 'post_event'\? \(all: event_only, off, post_event\)"
    with pytest.raises(ValueError, match=message):
        check_choice("mode", "postevent", ("post_event", "event_only", "off"))
    with pytest.raises(ValueError, match="level 7 is not a choice; known: a, b"):
        check_choice("level", 7, ("b", "a"))


def test_classes_come_from_a_list_or_a_file_and_are_there_once(tmp_path):
    (tmp_path / "classes.txt").write_text("a\nb c\n")
    assert check_classes(tmp_path / "classes.txt") == check_classes(("a", "b c")) == ["a", "b c"]
    for wrong, message in (
        (None, "classes are missing"),
        ([], "are missing"),
        (["a", "b", "a"], "'a' are named twice"),
    ):
        with pytest.raises(ValueError, match=message):
            check_classes(wrong)


@given(st.lists(st.text("ab", min_size=1), max_size=12))
def test_some_of_many_names(names):
    shown, _, more = some(names).partition(" and ")
    assert [name for name in shown.split(", ") if name] == names[:5]
    assert more == (f"{len(names) - 5} more" if len(names) > 5 else "")
