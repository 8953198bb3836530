"""Names of classes: how prompts spell them, and the files that number them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.datasets.video_prompts.lists import (
    class_prompt_name,
    read_class_index,
    read_class_names,
    read_label_table,
)


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


# names for prompts


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ApplyEyeMakeup", "Apply Eye Makeup"),
        ("YoYo", "Yo Yo"),
        ("TaiChi", "Tai Chi"),
        ("brush_hair", "brush hair"),
        ("TVShow", "TV Show"),
        ("riding BMX", "riding BMX"),
        ("passing American football (not in game)", "passing American football (not in game)"),
    ],
)
def test_prompt_name(name, words):
    assert class_prompt_name(name) == words


@given(st.text())
def test_prompt_names_keep_their_letters_and_are_split_once(name):
    words = class_prompt_name(name)
    assert "".join(words.split()) == "".join(name.replace("_", " ").split())
    assert class_prompt_name(words) == words


# files of classes


@given(st.permutations(range(6)))
def test_order_of_the_lines_of_a_class_index_says_nothing(tmp_path_factory, order):
    path = tmp_path_factory.mktemp("index") / "classInd.txt"
    path.write_text("".join(f"{i + 1} Class{i}\n" for i in order))
    assert read_class_index(path) == tuple(f"Class{i}" for i in range(6))


def test_label_table_and_plain_names(write):
    assert read_label_table(write("a.csv", 'id,name\r\n1,"b, c"\r\n0,a\r\n')) == ("a", "b, c")
    assert read_class_names(write("a.txt", "\ufeffb\n\n a \n")) == ("b", "a")


@pytest.mark.parametrize(
    ("read", "text", "match"),
    [
        (read_class_index, "1 A\n3 B\n", "line 2: number '3' is not in 1..2"),
        (read_class_index, "1 A\n1 B\n", "line 2: number 1 is taken by 'A'"),
        (read_class_index, "1 A\nB\n", "line 2: 'B' is not a number and a name"),
        (read_class_index, "1 A\n2 A\n", "line 2: class 'A' stands in line 1"),
        (read_label_table, "id,nme\n0,A\n", "no column 'name'; its columns: id, nme"),
        (read_label_table, "id,name\n0,A\n1,B,C\n", "line 3: 3 values, 2 columns"),
        (read_label_table, "id,name\n-1,A\n", "line 2: number '-1'"),
        (read_label_table, "id,name\n0,\n", "line 2: class '' is empty"),
        (read_class_names, "A\nB\nA\n", "line 3: class 'A' stands in line 1"),
        (read_class_names, "\n \n", "is empty"),
    ],
)
def test_wrong_class_files(write, read, text, match):
    with pytest.raises(ValueError, match=match) as error:
        read(write("classes.txt", text))
    assert "classes.txt" in str(error.value)


def test_missing_or_binary_class_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_class_names(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not text in UTF-8"):
        read_class_names(tmp_path / "binary")
