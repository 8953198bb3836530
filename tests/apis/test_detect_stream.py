"""One pass over the file, in bounded memory, with errors that reach the caller."""

import threading
import time
from contextlib import closing

import numpy as np
import pytest
from detect_files import CLASSES, FPS, HEIGHT, WIDTH, write_video

from opentad_bi.apis import detect
from opentad_bi.datasets.common.stream import FRAMES_AT_ONCE
from opentad_bi.datasets.detection.stream import VideoWindows, gather
from opentad_bi.datasets.readers.base import VideoError, open_video
from opentad_bi.datasets.readers.pyav import PyAVReader
from opentad_bi.registry import TRANSFORMS
from opentad_bi.utils.prefetch import ahead


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    """600 frames: 300 grid positions, 13 overlapping windows."""
    return write_video(tmp_path_factory.mktemp("stream") / "long.mp4", 600)


def test_one_reader_decodes_every_needed_frame_once(long_video, pair, monkeypatch):
    opened, seen = [], []
    keep_open, pixels = PyAVReader._open, PyAVReader._pixels
    monkeypatch.setattr(PyAVReader, "_open", lambda self: opened.append(self) or keep_open(self))
    monkeypatch.setattr(PyAVReader, "_pixels", lambda self, f: seen.append(f.pts) or pixels(self, f))
    assert detect(pair, long_video)
    assert len(opened) == 1 and opened[0]._container is None
    assert len(seen) == len(set(seen)) == 300


def test_only_small_frames_of_the_windows_at_hand_are_kept(long_video, pair, monkeypatch):
    held, sizes = [], []

    def watch(chunks, positions):
        held.append(sum(map(len, chunks.values())))
        sizes.extend({chunk.nbytes for chunk in chunks.values() if chunk.base is not None})
        assert {chunk.shape[1:] for chunk in chunks.values()} == {(32, 32, 3)} != {(HEIGHT, WIDTH, 3)}
        return gather(chunks, positions)

    monkeypatch.setattr("opentad_bi.datasets.detection.stream.gather", watch)
    with VideoWindows(pair.data, long_video, CLASSES) as windows:
        assert sum(1 for _ in windows) == len(windows) == 13 == len(held)
    assert max(held) <= 32 + 2 * FRAMES_AT_ONCE
    assert not sizes  # no crop that keeps the whole frame


def test_chunks_are_whole_sequences():
    frames = np.arange(50 * 3, dtype=np.uint8).reshape(50, 1, 1, 3)
    chunks = {i: frames[i * FRAMES_AT_ONCE : (i + 1) * FRAMES_AT_ONCE] for i in range(1, 4)}
    positions = np.asarray([17, 18, 33, 49, 49, 16])
    assert np.array_equal(gather(chunks, positions), frames[positions])


def test_decoding_goes_on_beside_the_caller():
    began = threading.Event()

    def items():
        yield threading.get_ident()
        began.set()
        yield threading.get_ident()

    threads = []
    for thread in ahead(items()):
        threads.append(thread)
        assert began.wait(5)  # the second is being made while we hold the first
    assert len(set(threads)) == 1 and threads[0] != threading.get_ident()


def test_at_most_one_is_made_ahead():
    made = []
    with closing(ahead(map(made.append, range(9)))) as items:
        next(items)
        time.sleep(0.05)
        assert made == [0, 1]
    assert made == [0, 1]


def test_an_error_in_the_thread_is_the_callers():
    error = VideoError("video x")

    def items():
        yield 1
        raise error

    found = []
    with pytest.raises(VideoError) as caught:
        found.extend(ahead(items()))
    assert caught.value is error and found == [1]


def test_a_failing_caller_leaves_no_thread_and_no_open_file(long_video, pair, monkeypatch):
    readers = []
    close = PyAVReader.close
    monkeypatch.setattr(PyAVReader, "close", lambda self: readers.append(self) or close(self))

    def predict(batch):
        raise RuntimeError("no memory")

    monkeypatch.setattr(pair.model, "predict", predict)
    with pytest.raises(RuntimeError, match="no memory"):
        detect(pair, long_video)
    assert readers[-1]._container is None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def damage(path):
    """Zeros in the middle of the coded frames."""
    content = bytearray(path.read_bytes())
    data = content.index(b"mdat")
    middle = data + (len(content) - data) // 2
    content[middle : middle + 9000] = bytes(9000)
    path.write_bytes(content)


def test_unreadable_videos_are_named(tmp_path, pair):
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4 does not exist"):
        detect(pair, tmp_path / "gone.mp4")
    whole = write_video(tmp_path / "whole.mp4", 100)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:-500])
    (tmp_path / "text.mp4").write_text("no video " * 100)
    for name, words in {"cut": "is cut short", "text": "cannot be opened"}.items():
        with pytest.raises(VideoError, match=rf"{name}\.mp4 {words}"):
            detect(pair, tmp_path / f"{name}.mp4")
    damage(whole)
    with pytest.raises(VideoError, match=r"whole\.mp4: frame \d+ of 100 cannot be decoded"):
        detect(pair, whole)


@pytest.fixture
def set_rate(monkeypatch):
    """`set_rate(fps)`: what files say from then on, which know the time of no frame."""

    def change(fps):
        def opened(*args):
            reader = open_video(*args)
            reader.fps, reader.times = fps, lambda: None
            return reader

        monkeypatch.setattr("opentad_bi.datasets.common.stream.open_video", opened)

    return change


def test_a_video_without_a_rate_is_refused(long_video, pair, set_rate):
    set_rate(0.0)
    with pytest.raises(VideoError, match=r"long\.mp4 has no frame rate"):
        detect(pair, long_video)


def test_other_rates_give_other_seconds(videos, pair, set_rate):
    slow = detect(pair, videos["long"])[0]
    set_rate(2.0 * FPS)
    fast = detect(pair, videos["long"])[0]
    assert (slow["score"], slow["label"]) == (fast["score"], fast["label"])
    np.testing.assert_allclose(slow["segment"], np.multiply(2, fast["segment"]), atol=0.021)


def test_frames_too_small_for_a_crop_name_the_video(long_video, pair):
    cfg = pair.data
    cfg["pipeline"] = [step for step in cfg["pipeline"] if step["type"] != "Resize"]
    cfg["pipeline"][2]["crop_size"] = 99
    with VideoWindows(cfg, long_video, CLASSES) as windows, pytest.raises(VideoError, match=r"long\.mp4: CenterCrop"):
        next(iter(windows))


def test_steps_must_keep_every_frame(long_video, pair):
    @TRANSFORMS.register_module(force=True)
    class EverySecond:
        def __call__(self, results):
            return results | {"imgs": results["imgs"][::2]}

    cfg = pair.data
    cfg["pipeline"].insert(2, {"type": "EverySecond"})
    with VideoWindows(cfg, long_video, CLASSES) as windows, pytest.raises(ValueError, match="8 frames of 16"):
        next(iter(windows))
