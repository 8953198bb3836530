"""A reversed video has the same frames, bit for bit, in the opposite order."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest
from places import SHARED
from tiny_clips import decode, write_clip

from opentad_bi.datasets.readers.base import VideoError, open_video
from opentad_bi.prepare.frames import (
    DamagedVideoError,
    count_frames,
    display_matrix,
    index_frames,
    write_display_matrix,
)
from opentad_bi.prepare.reverse.folder import verify_reversed
from opentad_bi.prepare.reverse.video import chunks_from_end, reverse_video

B_FRAMES = {"bf": "3", "x264-params": "b-adapt=0:scenecut=0"}
KINDS = {
    "gop250": {"options": {"g": "250"}},
    "gop12_b": {"options": {**B_FRAMES, "g": "12"}},
    "open_gop": {"options": {"bf": "3", "x264-params": "b-adapt=0:scenecut=0:open-gop=1:keyint=12:min-keyint=12"}},
    "intra_refresh": {"options": {"x264-params": "intra-refresh=1:keyint=10:min-keyint=10"}},
    "yuv444": {"pix_fmt": "yuv444p"},
    "full_range": {"pix_fmt": "yuvj420p"},
}


def assert_reversed(src, dst):
    frames, _ = decode(src)
    back, _ = decode(dst)
    assert np.array_equal(back, frames[::-1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [7, 600])
def test_lossless_reversal_is_bit_exact(clips, tmp_path, kind, chunk):
    src = clips(f"{kind}.mp4", 50, **KINDS[kind])
    done = reverse_video(src, tmp_path / "back.mp4", lossless=True, chunk=chunk, threads=1)
    assert done.frames == 50
    assert_reversed(src, tmp_path / "back.mp4")


def test_the_open_gop_clip_has_leading_pictures(clips):
    with av.open(str(clips("open_gop.mp4", 50, **KINDS["open_gop"]))) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    keys = [i for i, p in enumerate(packets) if p.is_keyframe]
    assert len(keys) > 3 and any(packets[k + 1].pts < packets[k].pts for k in keys[1:])


def test_huge_gop_is_taken_in_chunks(clips):
    index = index_frames(clips("gop250.mp4", 50, **KINDS["gop250"]))
    ranges = list(chunks_from_end(index, 20))
    assert ranges == [(30, 50), (10, 30), (0, 10)] and len(index.key_pts) == 1


def test_chunks_begin_at_keyframes_where_they_can(clips):
    index = index_frames(clips("gop12_b.mp4", 50, **KINDS["gop12_b"]))
    assert list(chunks_from_end(index, 30)) == [(24, 50), (0, 24)]


def test_one_frame(tmp_path):
    src = write_clip(tmp_path / "one.mp4", 1)
    assert reverse_video(src, tmp_path / "back.mp4", lossless=True).frames == 1
    assert_reversed(src, tmp_path / "back.mp4")


def test_variable_frame_rate_is_mirrored(tmp_path):
    times = np.array([0, 40, 45, 300, 301, 900, 1000])
    src = write_clip(tmp_path / "vfr.mp4", 7, times=times, time_base=Fraction(1, 1000))
    index = index_frames(src)
    reverse_video(src, tmp_path / "back.mp4", lossless=True)
    assert_reversed(src, tmp_path / "back.mp4")
    back = index_frames(tmp_path / "back.mp4")
    shown = (index.ends - index.pts) * index.time_base
    assert ((back.ends - back.pts) * back.time_base).tolist() == shown[::-1].tolist()
    assert back.seconds == index.seconds and back.pts[0] == 0
    assert not verify_reversed(src, tmp_path / "back.mp4", lossless=True)


def test_rate_and_duration_stay(clips, tmp_path):
    src = clips("gop12_b.mp4", 50, **KINDS["gop12_b"])
    reverse_video(src, tmp_path / "back.mp4")
    with av.open(str(tmp_path / "back.mp4")) as back:
        stream = back.streams.video[0]
        assert stream.average_rate == 25 and stream.frames == 50
        assert float(stream.duration * stream.time_base) == 2.0


@pytest.mark.parametrize("kind", ["gop250", "gop12_b"])
def test_reversing_twice_is_the_identity(clips, tmp_path, kind):
    src = clips(f"{kind}.mp4", 50, **KINDS[kind])
    reverse_video(src, tmp_path / "back.mp4", lossless=True)
    reverse_video(tmp_path / "back.mp4", tmp_path / "again.mp4", lossless=True)
    assert np.array_equal(decode(src)[0], decode(tmp_path / "again.mp4")[0])
    assert np.allclose(decode(src)[1], decode(tmp_path / "again.mp4")[1])


def test_rotation_flag_is_kept_and_pixels_stay(tmp_path):
    src = write_clip(tmp_path / "turned.mp4", 5)
    quarter = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    write_display_matrix(src, quarter)
    reverse_video(src, tmp_path / "back.mp4", lossless=True)
    assert_reversed(src, tmp_path / "back.mp4")
    with av.open(str(src)) as a, av.open(str(tmp_path / "back.mp4")) as b:
        own, back = next(a.decode(video=0)), next(b.decode(video=0))
    assert display_matrix(own) == quarter == display_matrix(back)
    assert own.rotation == back.rotation != 0
    with pytest.raises(ValueError, match="rotation flag"):
        reverse_video(src, tmp_path / "back.mkv")
    assert not (tmp_path / "back.mkv").exists()


def test_audio_is_dropped_with_a_note(tmp_path, caplog):
    src = write_clip(tmp_path / "loud.mp4", 10, audio=True)
    with caplog.at_level(logging.INFO):
        assert reverse_video(src, tmp_path / "back.mp4", lossless=True).dropped_audio
    assert "audio was left out" in caplog.text
    with av.open(str(tmp_path / "back.mp4")) as back:
        assert len(back.streams) == 1
    assert_reversed(src, tmp_path / "back.mp4")


@pytest.mark.parametrize("name", ["clip.mkv", "clip.avi", "clip.ts"])
def test_other_containers(tmp_path, name):
    src = write_clip(tmp_path / name, 50, options={**B_FRAMES, "g": "12"})
    reverse_video(src, tmp_path / "back.mp4", lossless=True)
    assert_reversed(src, tmp_path / "back.mp4")
    assert not verify_reversed(src, tmp_path / "back.mp4", lossless=True)


def test_never_overwrites_unless_told(clips, tmp_path):
    src, dst = clips("gop250.mp4", 50, **KINDS["gop250"]), tmp_path / "back.mp4"
    dst.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="exists"):
        reverse_video(src, dst)
    assert dst.read_bytes() == b"precious"
    assert reverse_video(src, dst, overwrite=True).frames == 50


def test_errors_name_the_thing(clips, tmp_path):
    src = clips("gop250.mp4", 50, **KINDS["gop250"])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        reverse_video(tmp_path / "nowhere.mp4", tmp_path / "back.mp4")
    with pytest.raises(ValueError, match="onto itself"):
        reverse_video(src, src, overwrite=True)
    with pytest.raises(ValueError, match=r"\.webm"):
        reverse_video(src, tmp_path / "back.webm")
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(DamagedVideoError, match="cannot be opened"):
        reverse_video(tmp_path / "text.mp4", tmp_path / "back.mp4")
    assert not list(tmp_path.glob("*back*"))


def test_truncated_file_is_an_error_that_names_the_frame_reached(tmp_path):
    src = write_clip(tmp_path / "whole.mp4", 50)
    cut = tmp_path / "cut.mp4"
    reverse_video(src, cut)  # its table of contents comes first, so it can be opened when the end is gone
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 7 // 10])
    with pytest.raises(DamagedVideoError, match=r"cut.mp4: .*frame reached: \d+ of 50"):
        reverse_video(cut, tmp_path / "back.mp4")
    kept = reverse_video(cut, tmp_path / "back.mp4", keep_damaged=True)
    assert 10 < kept.frames < 50 and kept.frames == len(index_frames(tmp_path / "back.mp4"))


def test_damaged_frame_is_an_error_that_names_it(tmp_path):
    src = write_clip(tmp_path / "damaged.mp4", 50, options={"g": "10"})
    with av.open(str(src)) as container:
        packet = [p for p in container.demux(video=0) if p.size][25]
        place, size = packet.pos, packet.size
    data = bytearray(src.read_bytes())
    data[place + 4 : place + size] = b"\xa5" * (size - 4)
    src.write_bytes(data)
    with pytest.raises(DamagedVideoError, match=r"frame 2\d of 50"):
        reverse_video(src, tmp_path / "back.mp4")
    assert not list(tmp_path.glob("*back*"))
    assert reverse_video(src, tmp_path / "back.mp4", keep_damaged=True).frames >= 45


def test_verify_finds_what_is_wrong(clips, tmp_path):
    src = clips("gop250.mp4", 50, **KINDS["gop250"])
    reverse_video(src, tmp_path / "back.mp4", crf=20)
    assert not verify_reversed(src, tmp_path / "back.mp4")
    assert "bit for bit" in verify_reversed(src, tmp_path / "back.mp4", lossless=True)[0]
    assert "another picture" in verify_reversed(src, src)[0]
    short = write_clip(tmp_path / "short.mp4", 40)
    assert "40 frames" in verify_reversed(src, short)[0]


def test_a_quality_out_of_range_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"invalid crf 99: .* 0 .* to 51"):
        reverse_video(tmp_path / "a.mp4", tmp_path / "b.mp4", crf=99)


def check_headless(path, tmp_path, unknown):
    """One named error by every way to open a file."""
    for work in (index_frames, count_frames, lambda src: reverse_video(src, tmp_path / "out/back.mkv")):
        with pytest.raises(DamagedVideoError, match=rf"{path.name}: the {unknown} is not known from the file"):
            work(path)
    assert not (tmp_path / "out").exists()


def test_a_header_that_does_not_say_how_pictures_are_stored(clips, tmp_path):
    content = bytearray(clips("whole.mkv", 5).read_bytes())
    place = content.index(b"\x63\xa2") + 4  # CodecPrivate of Matroska: the parameters of the H.264 stream
    content[place : place + 36] = bytes(36)
    (tmp_path / "a.mkv").write_bytes(content)
    check_headless(tmp_path / "a.mkv", tmp_path, "pixel format of the pictures")


def test_a_codec_that_does_not_exist(clips, tmp_path):
    content = clips("whole.mkv", 5).read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_NONESUCH/ABCD")
    (tmp_path / "a.mkv").write_bytes(content)
    check_headless(tmp_path / "a.mkv", tmp_path, "codec of the video")
    with (
        pytest.raises(VideoError, match=r"a.mkv: its codec is not known"),
        open_video(tmp_path / "a.mkv", "pyav") as it,
    ):
        it.frames(np.array([0]))


def test_the_header_of_a_real_file_with_a_few_bytes_changed(tmp_path):
    shared = SHARED
    path = shared / "cases/files/video.reverse_AttributeError_prepare.frame_index.py_120.mkv"
    if not path.is_file():
        pytest.skip(f"{path} is not there; set OPENTAD_SHARED to the folder above cases/")
    check_headless(path, tmp_path, "pixel format of the pictures")
