"""Whose mistake an error is, and what its message says."""

import json

import numpy as np
import pytest

from opentad_bi.config import parse_overrides
from opentad_bi.errors import UserError, message_of, require, some


def raised(work):
    with pytest.raises(Exception) as caught:
        work()
    return caught.value


def test_what_the_package_refuses_is_a_mistake():
    mistake = UserError.of(raised(lambda: parse_overrides(["x"])))
    assert isinstance(mistake, UserError) and str(mistake).startswith("--cfg-options 'x': expected key=value")
    assert "pip install nothing-of-this-name" in str(
        UserError.of(raised(lambda: require("nothing_of_this_name", "nothing-of-this-name")))
    )


def test_a_file_that_the_system_names_is_a_mistake(tmp_path):
    assert "none.txt" in str(UserError.of(raised((tmp_path / "none.txt").read_text)))


def test_what_a_library_refuses_is_a_bug():
    for work in (lambda: json.loads("{"), lambda: np.zeros(3) + np.zeros(2), lambda: {}["key"], lambda: 1 / 0):
        assert UserError.of(raised(work)) is None
    assert UserError.of(ValueError("never raised")) is None


def test_a_plugin_marks_its_own():
    class Missing(UserError, FileNotFoundError):
        pass

    error = Missing("no such list")
    assert UserError.of(error) is error and message_of(error) == "no such list"


def test_messages():
    assert message_of(KeyError("no class 'a'")) == "no class 'a'"
    assert message_of(ValueError()) == "ValueError"
    assert some("abcdefg") == "a, b, c, d, e and 2 more" and some("ab") == "a, b"
