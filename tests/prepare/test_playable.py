"""What browsers play is left alone; anything else becomes H.264 in MP4 with the same pictures at the same times."""

import io
import logging
from fractions import Fraction

import av
import numpy as np
import pytest
from tiny_clips import decode

from opentad_bi.prepare.frames import DamagedVideoError, display_matrix, write_display_matrix
from opentad_bi.prepare.h264 import H264Writer
from opentad_bi.prepare.playable import PIXELS, is_playable, playable

TURNED = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)


def clip_of(path, codec, pix_fmt="yuv420p", count=12, size=(64, 48)):
    """Write pictures that grow brighter and return `path`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for n in range(count):
            picture = np.full((size[1], size[0], 3), 20 + 10 * n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)))
        container.mux(stream.encode())
    return path


def copy_of(video):
    """Times (N,) and mean brightness (N,) of the frames of a copy, which must be one that browsers play."""
    mime, data = video
    assert mime == "video/mp4"
    with av.open(io.BytesIO(data)) as container:
        context = container.streams.video[0].codec_context
        assert context.name == "h264" and context.pix_fmt in PIXELS and not container.streams.audio
        frames = list(container.decode(video=0))
    return np.array([float(f.pts * f.time_base) for f in frames]), [f.to_ndarray(format="gray").mean() for f in frames]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "plays"),
    [
        ("a.mp4", "libx264", "yuv420p", True),
        ("a.M4V", "libx264", "yuv420p", True),
        ("a.webm", "libvpx-vp9", "yuv420p", True),
        ("a.mkv", "libx264", "yuv420p", False),
        ("a.avi", "mpeg4", "yuv420p", False),
        ("a.mp4", "mpeg4", "yuv420p", False),
        ("a.mp4", "libx264", "yuv444p", False),
        ("a.mp4", "libx264", "yuv420p10le", False),
    ],
)
def test_what_browsers_do_not_play_is_encoded_anew(tmp_path, name, codec, pix_fmt, plays):
    if name.endswith("webm") and codec not in av.codecs_available:
        pytest.skip(f"no {codec} in this PyAV")
    container = tmp_path / (name if name != "a.M4V" else "a.mp4")
    path = clip_of(container, codec, pix_fmt).rename(tmp_path / name)
    assert is_playable(path) == plays
    video = playable(path, folder=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    if plays:
        assert video == path
        return
    at, light = copy_of(video)
    np.testing.assert_allclose(at, np.arange(12) / 25, atol=1e-3)
    np.testing.assert_allclose(light, 20 + 10 * np.arange(12), atol=6)


def test_odd_and_large_pictures_become_even_and_small(tmp_path):
    path = clip_of(tmp_path / "a.mkv", "libx264", "yuv444p", count=2, size=(643, 481))
    for height, size in ((480, (642, 480)), (100, (134, 100))):
        with av.open(io.BytesIO(playable(path, folder=tmp_path, height=height)[1])) as container:
            context = container.streams.video[0].codec_context
            assert (context.width, context.height) == size


def test_uneven_times_stay_and_begin_at_zero(clips, tmp_path):
    times = [7, 8, 10, 15, 16, 30]
    path = clips("uneven.mkv", 6, times=times, options={"bf": "0"})
    at, _ = copy_of(playable(path, folder=tmp_path))
    np.testing.assert_allclose(at, (np.array(times) - 7) / 25, atol=2e-3)


def test_a_copy_too_large_to_hold_is_kept_as_a_file(clips, tmp_path):
    path = clips("sound.mkv", 20, audio=True)
    kept = playable(path, folder=tmp_path / "new", max_mb=0)
    assert kept == tmp_path / "new" / "sound.mkv.mp4"
    assert [p.name for p in kept.parent.iterdir()] == [kept.name]
    assert is_playable(kept) and len(decode(kept)[1]) == 20


def test_a_turned_video_stays_turned(tmp_path):
    path = tmp_path / "a.mp4"
    with H264Writer(path, size=(64, 48), rate=Fraction(25), time_base=Fraction(1, 25), pix_fmt="yuv444p") as writer:
        for n in range(3):
            writer.write(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24"), n, 1)
    write_display_matrix(path, TURNED)
    with av.open(io.BytesIO(playable(path, folder=tmp_path)[1])) as container:
        assert display_matrix(next(container.decode(video=0))) == TURNED


def spoil(path, n):
    """Overwrite packet `n` of the video at `path`."""
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][n]
        at, size = packet.pos + 4, packet.size - 4
    data = path.read_bytes()
    path.write_bytes(data[:at] + bytes([255]) * size + data[at + size :])
    return path


def test_what_cannot_be_decoded_is_left_out_with_a_warning(tmp_path, caplog):
    path = spoil(clip_of(tmp_path / "a.mkv", "libx264"), 5)
    with caplog.at_level(logging.WARNING):
        at, _ = copy_of(playable(path, folder=tmp_path))
    assert len(at) == 11 and "1 packets cannot be decoded" in caplog.text
    assert set(np.round(at * 25)) < set(range(12))  # no other frame moved


def test_a_video_of_which_no_frame_is_whole_is_an_error(tmp_path):
    path = spoil(clip_of(tmp_path / "a.mkv", "libx264"), 0)
    with pytest.raises(DamagedVideoError, match=r"a\.mkv: no frame can be decoded"):
        playable(path, folder=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mkv"]


def test_no_video_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.avi does not exist"):
        playable(tmp_path / "a.avi", folder=tmp_path)
    (tmp_path / "b.avi").write_bytes(b"nothing")
    with pytest.raises(DamagedVideoError, match=r"b\.avi cannot be opened"):
        playable(tmp_path / "b.avi", folder=tmp_path)
