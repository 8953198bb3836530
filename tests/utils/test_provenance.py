"""What a kept result was made of: stamps of files and comparisons of records."""

import os
import shutil

import pytest

from opentad_bi.utils import provenance
from opentad_bi.utils.provenance import (
    EDGE,
    changed_files,
    differences,
    digest,
    file_change,
    source_stamp,
    source_stamps,
)


@pytest.fixture(params=[10, EDGE, 3 * EDGE])
def film(tmp_path, request):
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(i % 251 for i in range(request.param)))
    return path


def keep_times(path, stat):
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_the_same_file_and_copies_of_it(film, tmp_path):
    stamp = source_stamp(film)
    assert stamp["path"] == str(film) and stamp["bytes"] == film.stat().st_size
    os.utime(film, (1, 1))
    assert file_change(stamp) == ""
    copy = shutil.copyfile(film, tmp_path / "copy.mp4")
    assert file_change(stamp, copy) == "" and changed_files({"film": stamp}, {"film": copy}) == {}
    film.unlink()
    assert file_change(stamp) == ""  # nothing to compare with


@pytest.mark.parametrize("place", [0, -1])
def test_another_content_of_one_size_and_date(film, place):
    stamp, stat, content = source_stamp(film), film.stat(), bytearray(film.read_bytes())
    content[place] ^= 1
    film.write_bytes(content)
    keep_times(film, stat)
    assert film.stat().st_mtime_ns == stat.st_mtime_ns
    assert file_change(stamp) == "has another content"
    assert changed_files({"film": stamp, "gone": {**stamp, "path": str(film) + "x"}}) == {"film": "has another content"}


def test_another_size(film):
    stamp, size = source_stamp(film), film.stat().st_size
    film.write_bytes(film.read_bytes() + b"x")
    assert file_change(stamp) == f"has {size + 1} bytes and had {size}"


def test_a_file_in_the_folder_of_another_user_is_not_compared(film, monkeypatch):
    stamp = source_stamp(film)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(provenance.os, "stat", refuse)  # root may enter every folder
    assert file_change(stamp) == "" and changed_files({"film": stamp}) == {}
    with pytest.raises(PermissionError, match="film"):
        file_change(stamp, film)


def test_stamps_of_many_files_are_those_of_each(tmp_path):
    paths = {name: tmp_path / name for name in "abcdefgh"}
    for name, path in paths.items():
        path.write_text(name)
    assert source_stamps(paths) == {name: source_stamp(path) for name, path in paths.items()}
    paths["c"].write_text("x")
    assert changed_files(source_stamps(paths)) == {}


def test_nothing_is_read_where_size_and_times_are_the_same(film, monkeypatch):
    monkeypatch.setattr(provenance, "FRESH_NS", 0)
    stamp = source_stamp(film)
    monkeypatch.setattr("builtins.open", lambda *_: pytest.fail("the file is opened"))
    assert file_change(stamp) == ""


def test_differences_of_records(film):
    stamp = source_stamp(film)
    kept = {"names": digest(["a", "b"]), "files": {"a": stamp, "gone": stamp}, "old": 1, "size": 2}
    assert differences(kept, kept) == []
    copy = {**stamp, "path": "elsewhere", "changed_ns": 0, "status_ns": 0}
    assert differences(kept, {"names": kept["names"], "files": {"a": copy, "more": stamp}, "new": 1, "size": 2}) == []
    other = {**stamp, "edges": "f" * 64}
    found = differences(kept, {"names": digest(["b", "a"]), "files": {"a": other}, "size": None})
    assert [line.partition(" ")[0] for line in found] == ["names", "files.a", "size"]
    assert found[1].startswith("files.a is another file") and found[2] == "size was 2 and is null"
