"""Untrimmed videos joined from clips: boundaries exact to the frame, no clip in both subsets."""

import json
from fractions import Fraction
from functools import partial

import av
import numpy as np
import pytest

from opentad_bi.cli.main import call
from opentad_bi.prepare.join_clips import Format, fit_frame, make_untrimmed, read_at_rate

main = partial(call, "join-clips")

COLOURS = {"hit": (230, 20, 20), "kick": (20, 230, 20), "walk": (20, 20, 230)}


def plain_clip(path, colour, count, *, fps=25, size=(64, 48)):
    """A clip of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(count):
            picture = np.full((size[1], size[0], 3), colour, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    for n in range(6):
        plain_clip(root / "hit" / f"{n}.mp4", COLOURS["hit"], 5 + n)
        plain_clip(root / "kick" / f"{n}.mp4", COLOURS["kick"], 4 + 2 * n, fps=50, size=(48, 64))
    for n in range(14):
        plain_clip(root / "walk" / f"{n}.avi", COLOURS["walk"], 3 + n % 5)
    (root / "hit" / "broken.mp4").write_bytes(b"not a video")
    return root


@pytest.fixture(scope="module")
def joined(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("joined")
    words = [str(source), str(out), "--actions", "hit,kick", "--background", "walk", "--videos", "5", "--passes", "2"]
    assert main([*words, "--size", "32x24", "--split", "0.5"]) == 0
    return out, json.loads((out / "annotations/thumos_14_anno.json").read_text())["database"]


def test_boundaries_are_exact_to_the_frame(joined):
    out, database = joined
    for name, video in database.items():
        with av.open(str(out / "raw_data" / f"{name}.mp4")) as container:
            means = np.stack([f.to_ndarray(format="rgb24").mean((0, 1)) for f in container.decode(video=0)])
        assert len(means) == video["frame"] and video["duration"] == pytest.approx(len(means) / 25)
        expected = np.full(len(means), "walk", object)
        for action in video["annotations"]:
            first, stop = (round(t * 25) for t in action["segment"])
            assert np.allclose([first / 25, stop / 25], action["segment"])
            assert first == 0 or expected[first - 1] == "walk"  # actions never touch
            expected[first:stop] = action["label"]
        seen = np.array(list(COLOURS), object)[means.argmax(1)]
        assert (seen == expected).all()


def test_each_clip_is_in_one_subset_and_used_once_a_pass(joined):
    _, database = joined
    used = {"training": [], "validation": []}
    for video in database.values():
        used[video["subset"]] += video["clips"]
    assert not set(used["training"]) & set(used["validation"])
    assert all(clips.count(clip) == 2 for clips in used.values() for clip in clips)
    assert len(set(used["training"] + used["validation"])) == 26  # all but the broken one
    assert [v["subset"] for v in database.values()].count("training") == 2


def test_layout(joined):
    out, database = joined
    assert (out / "annotations/category_idx.txt").read_text() == "hit\nkick\n"
    assert {p.stem for p in (out / "raw_data").iterdir()} == set(database)


def test_unreadable_clips_are_named(source, tmp_path, caplog):
    how = {"target": Format(32, 24, 25), "videos": 2, "split": 0.5}
    first = make_untrimmed(source, tmp_path / "a", actions=["hit"], background=["walk"], **how)
    assert "broken.mp4 is skipped" in caplog.text
    assert first == make_untrimmed(source, tmp_path / "b", actions=["hit"], background=["walk"], **how)
    assert first != make_untrimmed(source, tmp_path / "c", actions=["hit"], background=["walk"], seed=1, **how)


def test_errors_name_the_thing(source, tmp_path, capsys):
    def refused(*words):
        assert main([str(source), str(tmp_path), *words]) == 1
        return capsys.readouterr().err

    assert "did you mean 'walk'" in refused("--actions", "hit", "--background", "wlk")
    assert "both have ['hit']" in refused("--actions", "hit", "--background", "hit")
    assert "7 action" in refused("--actions", "walk", "--background", "hit", "--split", "0.5", "--videos", "2")
    assert "must be even" in refused("--actions", "hit", "--background", "walk", "--size", "33x24")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("own_fps", "fps", "count"), [(25, 25, 10), (50, 25, 5), (10, 25, 25), (30, 25, 8)])
def test_frames_are_repeated_or_left_out(tmp_path, own_fps, fps, count):
    plain_clip(tmp_path / "clip.mp4", (99, 99, 99), 10, fps=Fraction(own_fps))
    assert abs(sum(1 for _ in read_at_rate(tmp_path / "clip.mp4", fps)) - 10 * fps / own_fps) <= 1
    times = [f.time for f in read_at_rate(tmp_path / "clip.mp4", fps)]
    wanted = np.arange(len(times)) / fps
    assert len(times) in (count, count + 1) and (np.array(times) <= wanted + 1e-3).all()
    assert (wanted - np.array(times) < 1 / own_fps + 1e-3).all()


def test_fit():
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = 200  # the middle half is bright
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    assert fit_frame(frame, Format(20, 20, 25, "crop"))[:, 1:-1].min() > 190
    boxed = fit_frame(frame, Format(20, 20, 25, "letterbox"))
    assert boxed[:5].max() == 0 == boxed[15:].max() and boxed[6:14, 8:12].min() > 190
