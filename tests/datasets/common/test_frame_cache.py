"""Cached frames: the same bytes as without, whatever befalls the files, and new ones where anything has changed."""

import errno
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from dataset_files import draw, encode
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.datasets.common import frames
from opentad_bi.datasets.common.frames import FrameCache
from opentad_bi.datasets.readers.pyav import PyAVReader
from opentad_bi.registry import READERS, TRANSFORMS

LOAD = {"type": "LoadClips", "frames": 2, "views": 2, "size": 16}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A film of 12 drawn frames, 96 x 64."""
    path = tmp_path_factory.mktemp("clips") / "film.mp4"
    encode(path, [draw(number) for number in range(12)], lossless=False)
    return path


@pytest.fixture
def warnings(monkeypatch):
    """What the cache warns of, as a list of text."""
    told = []
    monkeypatch.setattr(frames.LOGGER, "warning", lambda text, *args: told.append(text % args))
    return told


def load(path, **arguments):
    return TRANSFORMS.build({**LOAD, **arguments})({"path": path, "video": "film", "rng": None})["imgs"]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_same_bytes_with_and_without(tmp_path, video):
    plain = load(video)
    assert np.array_equal(load(video, cache=tmp_path), plain)
    assert len(files(tmp_path)) == 1
    decoder = TRANSFORMS.build({**LOAD, "cache": tmp_path})
    decoder.load = None  # nothing is decoded any more
    kept = decoder({"path": video, "video": "film", "rng": None})["imgs"]
    assert kept.dtype == np.uint8 and np.array_equal(kept, plain)


def test_the_split_into_views_is_not_part_of_the_frames(tmp_path, video):
    assert np.array_equal(load(video, cache=tmp_path), load(video, cache=tmp_path, frames=4, views=1))
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 3},
        {"views": 1},
        {"size": 20},
        {"trim_black": True},
        {"interpolation": "bilinear"},
        {"resize_mode": "squash"},
    ],
)
def test_other_settings_are_other_frames(tmp_path, video, change):
    load(video, cache=tmp_path)
    assert np.array_equal(load(video, cache=tmp_path, **change), load(video, **change))
    assert len(files(tmp_path)) == 2


def test_the_frames_of_another_reader_are_others(tmp_path, video, monkeypatch):
    class Inverted(PyAVReader):
        def frames(self, indices):
            return 255 - super().frames(indices)

    monkeypatch.setitem(READERS.module_dict, "inverted", Inverted)
    first = load(video, cache=tmp_path)
    found = load(video, cache=tmp_path, reader="inverted")
    assert len(files(tmp_path)) == 2 and not np.array_equal(found, first)
    assert np.array_equal(found, load(video, reader="inverted"))


def test_a_video_of_another_size_is_decoded_again_whatever_its_date(tmp_path, video):
    own, cache = tmp_path / "own.mp4", tmp_path / "cache"
    own.write_bytes(video.read_bytes())
    first, stat = load(own, cache=cache), own.stat()
    encode(own, [255 - draw(number) for number in range(11)], lossless=False)
    os.utime(own, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert own.stat().st_mtime_ns == stat.st_mtime_ns and own.stat().st_size != stat.st_size
    assert not np.array_equal(load(own, cache=cache), first)


def test_a_changed_video_is_decoded_again(tmp_path, video):
    own, cache = tmp_path / "own.mp4", tmp_path / "cache"
    own.write_bytes(video.read_bytes())
    first = load(own, cache=cache)
    stat = own.stat()
    encode(own, [255 - draw(number) for number in range(12)], lossless=False)
    assert not np.array_equal(load(own, cache=cache), first)
    assert len(files(cache)) == 2
    os.utime(own, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))  # as of a copy
    load(own, cache=cache)
    assert len(files(cache)) == 2


def test_another_content_of_the_same_size_and_date_is_decoded_again(tmp_path, video):
    own, cache = tmp_path / "own.avi", tmp_path / "cache"
    content, stat = video.read_bytes(), video.stat()
    own.write_bytes(content)
    os.utime(own, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    load(own, cache=cache)
    own.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(own, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    load(own, cache=cache)
    assert len(files(cache)) == 2


@pytest.mark.parametrize("shape", [(3, 16, 24, 3), (5, 16, 24, 3), (4, 17, 24, 3), (4, 16, 24, 1)])
def test_frames_of_another_shape_are_made_anew(tmp_path, video, warnings, shape):
    plain = load(video, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    np.save(path, np.zeros(shape, np.uint8))
    assert np.array_equal(load(video, cache=tmp_path), plain)
    assert len(warnings) == 1 and f"{path} is damaged" in warnings[0] and str(shape) in warnings[0]


def test_a_video_that_is_gone_is_an_error_even_if_cached(tmp_path, video):
    own = tmp_path / "own.mp4"
    own.write_bytes(video.read_bytes())
    load(own, cache=tmp_path / "cache")
    own.unlink()
    with pytest.raises(FileNotFoundError, match=r"own\.mp4 does not exist"):
        load(own, cache=tmp_path / "cache")


shapes = st.tuples(*[st.integers(1, 5)] * 3)


@given(shapes, st.data())
def test_a_file_cut_short_anywhere_is_made_anew(tmp_path_factory, shape, data):
    frames = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    cache = FrameCache(tmp_path_factory.mktemp("cut"))
    cache.get({"name": 1}, lambda: frames)
    path = cache.path({"name": 1})
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert np.array_equal(cache.get({"name": 1}, lambda: frames), frames)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", ["zeros", "text", "object", "float", "flat"])
def test_a_damaged_file_is_made_anew_with_one_warning(tmp_path, video, warnings, content):
    plain = load(video, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    arrays = {"object": np.array([None]), "float": np.ones((4, 16, 24, 3)), "flat": np.ones(5, np.uint8)}
    if content in arrays:
        np.save(path, arrays[content], allow_pickle=True)
    else:
        path.write_bytes(bytes(len(whole)) if content == "zeros" else b"not an array at all")
    assert np.array_equal(load(video, cache=tmp_path), plain)
    assert len(warnings) == 1 and f"{path} is damaged" in warnings[0]
    assert path.read_bytes() == whole
    load(video, cache=tmp_path)
    assert len(warnings) == 1


@pytest.mark.parametrize("kind", [PermissionError, IsADirectoryError, OSError])
def test_a_file_that_cannot_be_read_is_made_anew_with_one_warning(tmp_path, video, warnings, monkeypatch, kind):
    plain, refused = load(video, cache=tmp_path), []

    def refuse(path, mode):
        refused.append(path)
        raise kind(errno.EIO, "not today", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(frames.np.lib.format, "open_memmap", refuse)
        assert np.array_equal(load(video, cache=tmp_path), plain) and len(refused) == 1
    assert len(warnings) == 1 and "is damaged" in warnings[0] and "not today" in warnings[0]
    assert np.array_equal(load(video, cache=tmp_path), plain) and len(warnings) == 1


def test_a_full_disk_is_told_once_and_costs_nothing_else(tmp_path, video, warnings, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    step = TRANSFORMS.build({**LOAD, "cache": tmp_path})
    monkeypatch.setattr(frames.np, "save", full)
    for _ in range(2):
        assert np.array_equal(step({"path": video, "video": "film", "rng": None})["imgs"], load(video))
    assert len(warnings) == 1 and "cannot write" in warnings[0] and "No space left" in warnings[0]
    assert not files(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotADirectoryError, match=r"frame cache .*file is a file, not a folder"):
        FrameCache(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "in the way"


def _load_often(path, folder):
    return [load(path, cache=folder).tobytes() for _ in range(3)]


def test_several_processes_at_once(tmp_path, video):
    with ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool:
        found = [run.result() for run in [pool.submit(_load_often, video, tmp_path) for _ in range(3)]]
    assert {one for run in found for one in run} == {load(video).tobytes()}
    assert len(files(tmp_path)) == 1


def test_a_step_with_a_cache_can_be_sent_to_a_process(tmp_path, video):
    step = pickle.loads(pickle.dumps(TRANSFORMS.build({**LOAD, "cache": tmp_path})))
    assert np.array_equal(step({"path": video, "video": "film", "rng": None})["imgs"], load(video))


def test_a_killed_writer_leaves_nothing_that_is_read(tmp_path, video, warnings):
    plain = load(video, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / f".{path.stem}.1.tmp.npy")
    assert np.array_equal(load(video, cache=tmp_path), plain)
    assert not warnings and path.is_file()
