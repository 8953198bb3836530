"""Files are whole or absent, and what cannot be written or read is told by one message."""

import errno
import gzip
import json
from pathlib import Path

import pytest

from opentad_bi.utils.files import atomic, read_json, read_lines, read_names, read_text, write_json


def test_a_failed_block_leaves_the_former_file(tmp_path):
    path = tmp_path / "deep" / "numbers.json"
    write_json(path, [1])
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:
        temporary.write_text(str(1 / 0))
    assert json.loads(path.read_text()) == [1]
    assert [p.name for p in path.parent.iterdir()] == ["numbers.json"]


def test_what_cannot_be_written_is_named_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x.json", tmp_path):
        with pytest.raises(OSError, match=rf"^cannot write {path}: ."):
            write_json(path, 1)
    with pytest.raises(OSError, match=r"x\.json: No space left"), atomic(tmp_path / "x.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_error_about_another_file_stays_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"other\.txt"), atomic(tmp_path / "x.json"):
        (tmp_path / "other.txt").read_text()


def test_names_come_from_lists_json_and_text(tmp_path):
    (tmp_path / "n.txt").write_text("a\n\n b c \n")
    (tmp_path / "n.json").write_text('["a", "b c"]')
    (tmp_path / "n.json.gz").write_bytes(gzip.compress(b'["a", "b c"]'))
    for source in (("a", "b c"), *(tmp_path / f"n.{form}" for form in ("txt", "json", "json.gz"))):
        assert read_names(source) == ["a", "b c"]
    assert read_names(None) == []
    with pytest.raises(FileNotFoundError, match=r"block list .*gone\.txt"):
        read_names(tmp_path / "gone.txt", "block list")


def test_json_with_a_mark_in_another_code_or_with_a_name_twice(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"a": 1}')
    assert read_json(path) == {"a": 1}
    path.write_bytes('{"a": "\ud55c\uad6d"}'.encode("cp949"))
    with pytest.raises(ValueError, match=r"prompts .*a\.json is not text in UTF-8"):
        read_json(path, "prompts")
    path.write_text('{"b": {"a": 1, "a": 2}, "c": {"d": 0, "d": 0, "e": 1}}')
    with pytest.raises(ValueError, match=r"prompts .*a\.json has 'a', 'd' twice"):
        read_json(path, "prompts")
    repeated = []
    assert read_json(path, repeated=repeated) == {"b": {"a": 2}, "c": {"d": 0, "e": 1}} and repeated == ["a", "d"]


def test_one_reader_of_text_names_what_is_none(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\rtwo \n")
    assert read_text(path) == "one\n\ntwo \n" and read_lines(path, "list") == [(1, "one"), (3, "two")]
    for content, words in (
        (b"\xfb", ": 'utf-8'"),
        ("a".encode("utf-16-be"), "zero byte"),
        ("a".encode("utf-16"), "UTF-16"),
    ):
        path.write_bytes(content)
        for reader in (read_text, read_lines, read_names):
            with pytest.raises(ValueError, match=rf"list of x .*a\.txt is not text in UTF-8.*{words}"):
                reader(path, "list of x")
    path.write_text("\n ")
    with pytest.raises(ValueError, match=r"list .*a\.txt is empty"):
        read_lines(path, "list")


def test_no_module_reads_text_on_its_own():
    """Only the readers that name the file and what it is open text that users give."""
    package = Path(read_text.__code__.co_filename).parents[1]
    own = {"utils/files.py", "evaluation/viz/page.py", "engine/hooks/logging.py", "cli/train.py"}
    readers = {str(p.relative_to(package)) for p in package.rglob("*.py") if ".read_text(" in p.read_text("utf-8")}
    assert readers <= own
