"""Listings of folders: whole, or an error that names the folder."""

import os
import re
from pathlib import Path

import pytest

import opentad_bi
from opentad_bi.utils import files
from opentad_bi.utils.files import is_file, list_folder, match_files, walk_files


@pytest.fixture
def tree(tmp_path):
    """A folder of two videos each in a/ and b/c/, and what is not a video."""
    for name in ("a/1.mp4", "a/2.MP4", "a/.3.mp4", "a/notes.txt", "b/c/1.mp4", "b/c/2.avi", ".hidden/1.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def below(root, paths):
    return [path.relative_to(root).as_posix() for path in paths]


def forbid(monkeypatch, *forbidden):
    """Let the system refuse to list some folders, as it does to all but root."""
    scan = os.scandir

    def scandir(folder):
        if Path(folder) in forbidden:
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(files.os, "scandir", scandir)


def test_files_below_a_folder(tree):
    assert below(tree, walk_files(tree, (".mp4",))) == ["a/1.mp4", "a/2.MP4", "b/c/1.mp4"]
    assert below(tree, walk_files(tree)) == ["a/1.mp4", "a/2.MP4", "a/notes.txt", "b/c/1.mp4", "b/c/2.avi"]
    assert below(tree, match_files(tree, "*/?/1.mp4")) == ["b/c/1.mp4"]
    assert below(tree, match_files(tree, "a/[!.]*.mp4")) == ["a/1.mp4"]
    assert match_files(tree, "x/*") == match_files(tree, "a/1.mp4/*") == list_folder(tree / "x", absent=True) == []


@pytest.mark.parametrize("folder", ["", "b", "b/c"])
def test_a_folder_that_cannot_be_read_is_an_error(tree, monkeypatch, folder):
    forbid(monkeypatch, tree / folder)
    for look in (lambda: walk_files(tree, (".mp4",)), lambda: match_files(tree, "*/*/*.mp4")):
        with pytest.raises(PermissionError, match=re.escape(f"folder {tree / folder} cannot be read (Permission den")):
            look()


def test_a_folder_that_is_none(tree):
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere does not exist"):
        walk_files(tree / "nowhere")
    with pytest.raises(NotADirectoryError, match=r"folder .*notes.txt cannot be read"):
        list_folder(tree / "a/notes.txt", absent=True)


def test_links(tree):
    """Those to folders are followed, loops are not, and one that leads nowhere is a file that cannot be opened."""
    (tree / "b/c/up").symlink_to(tree)
    (tree / "d").symlink_to(tree / "a")
    (tree / "lost.mp4").symlink_to(tree / "gone.mp4")
    (tree / "self.mp4").symlink_to(tree / "self.mp4")
    found = ["a/1.mp4", "a/2.MP4", "b/c/1.mp4", "d/1.mp4", "d/2.MP4", "lost.mp4", "self.mp4"]
    assert below(tree, walk_files(tree, (".mp4",))) == found
    assert not is_file(tree / "lost.mp4") and not is_file(tree / "self.mp4") and not is_file(tree / ("x" * 300))


def test_a_file_in_a_folder_that_must_not_be_entered(tree, monkeypatch):
    def stat(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(PermissionError, match=re.escape(f"folder {tree / 'a'} cannot be read")):
        is_file(tree / "a/1.mp4")


def test_the_package_lists_folders_in_no_other_way():
    """`glob`, `rglob` and `os.walk` leave out what they may not read."""
    other = re.compile(r"\.(r?glob|iterdir)\(|\bos\.(walk|listdir|scandir|fwalk)\(|\bglob\.i?glob\(")
    sources = sorted(Path(opentad_bi.__file__).parent.rglob("*.py"))
    assert len(sources) > 100
    lines = [(path.name, text) for path in sources for text in path.read_text().splitlines() if other.search(text)]
    assert [name for name, _ in lines] == ["files.py"], lines
