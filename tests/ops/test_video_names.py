"""Names of videos and classes in all their spellings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.names import bare_name, class_key, label_of, list_fields, normal_label, shown_class

WORDS = st.lists(st.text("abXY", min_size=1, max_size=5), min_size=1, max_size=3)


@given(WORDS, st.sampled_from(["_", " ", "-", ""]), st.booleans())
def test_spellings_of_a_class_have_one_key(words, joint, upper):
    text = joint.join(words)
    assert class_key(text.upper() if upper else text) == "".join(words).lower()
    assert class_key(shown_class(text)) == class_key(text)


def test_names_of_videos():
    assert bare_name(" Abuse/Abuse028_x264.MP4 ") == bare_name(r"x\Abuse028_x264.npy") == "Abuse028_x264"
    assert bare_name("Bad.Boys.1995__#01-11-55") == "Bad.Boys.1995__#01-11-55"


@given(st.permutations(["Normal_Videos", "Abuse", "Arson"]), st.sampled_from(["normal videos", "NORMAL-VIDEOS"]))
def test_the_normal_class_is_found_however_it_is_spelt(classes, spelt):
    assert classes[normal_label(spelt, classes)] == "Normal_Videos"


def test_a_normal_class_that_is_not_there():
    assert label_of("calm", ["Normal", "Abuse"]) is None
    message = r"normal_class 'Norml' is none of the classes; did you mean 'Normal'\? \(all: Abuse, Normal\)"
    with pytest.raises(KeyError, match=message):
        normal_label("Norml", ["Normal", "Abuse"])
    with pytest.raises(KeyError, match="normal_class None is none of the classes; known: Abuse"):
        normal_label(None, ["Abuse"])


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a.mp4  Abuse  1  2  ", ["a.mp4", "Abuse", "1", "2"]),
        ("a.mp4, Abuse, 1, 2,", ["a.mp4", "Abuse", "1", "2"]),
        ("x/a.mp4|1412|[1, -1]", ["x/a.mp4", "1412", "1", "-1"]),
        ("my clip, part [2].mp4", ["my clip, part [2].mp4"]),
        ("a b.mp4|90", ["a b.mp4", "90"]),
        ("a.mp4", ["a.mp4"]),
    ],
)
def test_fields_of_a_line(line, fields):
    assert list_fields(line) == fields
