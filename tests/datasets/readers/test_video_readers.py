"""Readers give exactly the asked frames, or one clear error that names the file and the frame."""

from fractions import Fraction

import av
import numpy as np
import pytest
from dataset_files import FRAMES, draw, encode
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.datasets.readers import pyav
from opentad_bi.datasets.readers.base import VideoError, find_video, missing_bytes, open_video

READERS = ("pyav", "decord")


@pytest.fixture(params=READERS)
def reader_name(request):
    if request.param == "decord":
        pytest.importorskip("decord")
    return request.param


@pytest.fixture(scope="module")
def truth(videos):
    """All frames of the long lossy video, decoded one after the other."""
    with av.open(str(videos / "for_lossy" / "long.mp4")) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture
def long_video(videos):
    return videos / "for_lossy" / "long.mp4"


def test_length_and_rate(long_video, reader_name):
    with open_video(long_video, reader_name) as reader:
        assert len(reader) == FRAMES["long"]
        assert reader.fps == pytest.approx(25)


@pytest.mark.parametrize(
    "indices",
    [
        range(0, 230, 4),
        range(229, -1, -4),
        [229],
        [0, 0, 0],
        [120, 3, 120, 229, 41, 40, 39, 3],
        [*range(100, 230, 7), 226, 226, 226],
    ],
    ids=["stride", "reversed", "last", "repeated", "mixed", "padded"],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_frames_are_those_asked_for(long_video, reader_name, truth, indices, threads):
    with open_video(long_video, reader_name, threads) as reader:
        frames = reader.frames(list(indices))
    assert frames.dtype == np.uint8
    assert np.array_equal(frames, truth[list(indices)])


@given(indices=st.lists(st.integers(0, FRAMES["long"] - 1), min_size=1, max_size=12))
def test_any_order_with_repeats(videos, truth, indices):
    with open_video(videos / "for_lossy" / "long.mp4") as reader:
        assert np.array_equal(reader.frames(indices), truth[indices])
        assert np.array_equal(reader.frames(indices[::-1]), truth[indices[::-1]])


@given(indices=st.sets(st.integers(0, FRAMES["long"] - 1), min_size=1), size=st.integers(1, 40))
def test_one_pass_gives_the_same_frames(videos, truth, indices, size):
    indices = sorted(indices)
    with open_video(videos / "for_lossy" / "long.mp4") as reader:
        parts = list(reader.in_order(indices, size))
        assert np.array_equal(np.concatenate(parts), truth[indices])
        assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1) and len(parts[-1]) <= size
        assert np.array_equal(reader.frames([7, 2]), truth[[7, 2]])  # the reader is as good as new


def test_one_pass_decodes_no_frame_twice(long_video, truth, reader_name, monkeypatch):
    with open_video(long_video, reader_name) as reader:
        if reader_name == "pyav":
            seen = []
            monkeypatch.setattr(reader, "_pixels", lambda frame: seen.append(frame.pts) or frame.to_ndarray())
            monkeypatch.setattr(reader, "frames", None)
            list(reader.in_order(range(230), 7))
            assert len(seen) == len(set(seen)) == 230
            return
        assert np.array_equal(np.concatenate(list(reader.in_order(range(0, 230, 3), 7))), truth[::3])


def test_one_pass_refuses_other_orders(long_video):
    with open_video(long_video) as reader:
        for indices in ([3, 3], [4, 2]):
            with pytest.raises(ValueError, match="must rise"):
                reader.in_order(indices, 4)
        with pytest.raises(IndexError, match="frame 230 was asked for"):
            reader.in_order([3, 230], 4)


def write(path, codec, *, times=range(61), size=(96, 64), b_frames=2, **options):
    """Write frames shown at `times` / 25 s, keyframes every 12, and return all that is decoded."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=25)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        stream.options = {"g": "12", "bf": str(b_frames)}
        stream.codec_context.time_base = Fraction(1, 25)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(draw(number)[: size[1], : size[0]]), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return decoded(path)


def decoded(path):
    """All frames of a file whose size does not change."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.ts", "libx264"),
        ("clip.ts", "mpeg2video"),
        ("clip.mts", "libx264"),
        ("clip.mpg", "mpeg2video"),
        ("clip.mpg", "mpeg1video"),
    ],
)
def test_files_without_an_index_or_with_times_that_change(tmp_path, name, codec, b_frames):
    path = tmp_path / name
    truth = write(path, codec, b_frames=b_frames)
    with open_video(path) as reader:
        assert len(reader) == len(truth) == 61
        for indices in (range(61), [60, 5, 30], [14], [45, 3]):
            assert np.array_equal(reader.frames(indices), truth[list(indices)])
        for first in (0, 20):
            assert np.array_equal(np.concatenate(list(reader.in_order(range(first, 61, 2), 9))), truth[first::2])


@pytest.mark.parametrize("kept", [0, 1 << 26])
def test_avi_frames_are_the_same_whether_the_counting_pass_keeps_them_or_not(tmp_path, monkeypatch, kept):
    path, opened, real = tmp_path / "clip.avi", [], pyav.PyAVReader._open
    truth = write(path, "mpeg4")
    monkeypatch.setattr(pyav, "KEPT", kept)
    monkeypatch.setattr(pyav.PyAVReader, "_open", lambda reader: (opened.append(1), real(reader)))
    with open_video(path) as reader:
        begun = len(opened)
        for asked in ([3, 17], [19, 0, 0], [len(truth) - 1]):
            assert np.array_equal(reader.frames(asked), truth[asked])
    assert len(opened) - begun == (0 if kept else 3)


def test_frame_outside_the_video(long_video, reader_name):
    with open_video(long_video, reader_name) as reader, pytest.raises(IndexError, match=r"frames 0 to 229; frame 230"):
        reader.frames([3, 230])


def test_missing_and_empty_file(tmp_path, reader_name):
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        open_video(tmp_path / "gone.mp4", reader_name)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError, match=r"empty\.mp4 is empty"):
        open_video(tmp_path / "empty.mp4", reader_name)


def test_not_a_video(tmp_path, reader_name):
    (tmp_path / "text.mp4").write_text("no video at all, only text " * 50)
    with pytest.raises(VideoError, match=r"text\.mp4 cannot be opened"):
        open_video(tmp_path / "text.mp4", reader_name)


@pytest.mark.parametrize("faststart", [False, True])
def test_truncated_file(tmp_path, reader_name, faststart):
    path = tmp_path / "whole.mp4"
    options = {"movflags": "faststart"} if faststart else {}
    encode(path, [draw(number) for number in range(60)], lossless=False, container_options=options)
    assert missing_bytes(path) == 0
    content = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(VideoError, match=r"cut\.mp4 is cut short"):
        open_video(cut, reader_name)


@pytest.mark.parametrize("where", [0.5, 1.0], ids=["middle", "end"])
def test_damaged_frames_are_named_and_never_replaced(tmp_path, reader_name, where):
    path = tmp_path / "damaged.mp4"
    images = [draw(number) for number in range(160)]
    encode(path, images, lossless=False, container_options={"movflags": "faststart"})
    with open_video(path, reader_name) as reader:
        truth = reader.frames(range(160))
    content = bytearray(path.read_bytes())
    data = content.index(b"mdat")
    size = len(content) - data
    at = data + int(size * where) - (3000 if where == 1.0 else 0)
    content[at : at + 3000] = bytes(len(content[at : at + 3000]))
    path.write_bytes(content)
    named = pytest.raises(VideoError, match=r"damaged\.mp4: frame \d+ of 160 cannot be decoded")
    with open_video(path, reader_name) as reader, named as caught:
        reader.frames(range(160))
    if reader_name == "decord":
        return  # reads ahead into the damage
    assert (60 if where == 0.5 else 120) < int(str(caught.value).split("frame ")[1].split(" ")[0])
    with open_video(path, reader_name) as reader:
        assert np.array_equal(reader.frames([0, 8, 4]), truth[[0, 8, 4]])
    one_pass = []
    with open_video(path, reader_name) as reader, named:
        for part in reader.in_order(range(160), 8):
            one_pass.extend(part)
    assert np.array_equal(one_pass, truth[: len(one_pass)]) and len(one_pass) >= 40


def test_find_video_tries_extensions(tmp_path):
    (tmp_path / "clip.webm").touch()
    assert find_video(tmp_path, "clip").name == "clip.webm"
    (tmp_path / "clip.mov").touch()
    assert find_video(tmp_path, "clip", "mov").name == "clip.mov"
    with pytest.raises(FileNotFoundError, match=r"'other' is not in .*tried mov, mp4, avi, mkv, webm"):
        find_video(tmp_path, "other", "mov")


def test_reader_names_are_known(long_video):
    with pytest.raises(KeyError, match="did you mean 'pyav'"):
        open_video(long_video, "pyaw")
