"""Captions that say the same have one key and one number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.names import caption_key, caption_number


@pytest.mark.parametrize("text", ["A man runs.", " a  man\nruns", "a man runs . .", "A MAN RUNS..."])
def test_spellings_of_one_caption(text):
    assert caption_key(text) == "a man runs"
    assert caption_number(text) == caption_number("a man runs")


TEXTS = st.text("aAb. \n火", max_size=8)


@given(text=TEXTS, other=TEXTS)
def test_numbers_are_those_of_keys_and_fit_into_int64(text, other):
    assert (caption_number(text) == caption_number(other)) == (caption_key(text) == caption_key(other))
    assert -(2**63) <= caption_number(text) < 2**63
    assert caption_key(caption_key(text)) == caption_key(text)


def test_a_number_is_the_same_in_every_process():
    assert caption_number("a man runs") == 895188598278583017
