"""The demonstration set: THUMOS layout, the same set for the same seed, classes that are each other's reversal."""

import json
from functools import partial

import numpy as np
import pytest
from tiny_clips import decode

from opentad_bi.cli.main import call
from opentad_bi.prepare.demo.detection import CLASSES, make_demo, random_story
from opentad_bi.prepare.demo.things import DemoStyle, paint

main = partial(call, "demo-data detection")

STYLE = DemoStyle(size=16, video_sec=(6.0, 8.0), action_sec=(0.5, 1.0), gap_sec=(0.2, 0.5))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    make_demo(out, videos=4, seed=3, style=STYLE)
    return out


def test_layout_is_that_of_thumos(demo):
    database = json.loads((demo / "annotations/thumos_14_anno.json").read_text())["database"]
    assert (demo / "annotations/category_idx.txt").read_text().splitlines() == list(CLASSES)
    assert sorted(p.stem for p in (demo / "raw_data").iterdir()) == sorted(database)
    assert [v["subset"] for v in database.values()] == ["training"] * 2 + ["validation"] * 2
    for name, video in database.items():
        frames, times = decode(demo / "raw_data" / f"{name}.mp4")
        assert len(frames) == video["frame"] and video["duration"] == pytest.approx(len(frames) / 25)
        assert np.allclose(times, np.arange(len(frames)) / 25)
        ends = 0.0
        for action in video["annotations"]:
            start, end = action["segment"]
            assert ends < start < end <= video["duration"] and action["label"] in CLASSES
            ends = end
        assert len(video["annotations"]) >= 3


def test_same_seed_same_set(demo, tmp_path):
    again = make_demo(tmp_path / "again", videos=4, seed=3, style=STYLE)
    assert again == json.loads((demo / "annotations/thumos_14_anno.json").read_text())["database"]
    name = next(iter(again))
    ours, theirs = (decode(root / "raw_data" / f"{name}.mp4")[0] for root in (demo, tmp_path / "again"))
    assert np.array_equal(ours, theirs)
    assert make_demo(tmp_path / "other", videos=4, seed=4, style=STYLE) != again


def stories(**changes):
    style = DemoStyle(**{"distractors_per_sec": 0.0, "ease": (1.0, 1.0), **changes})
    return [random_story(np.random.default_rng([0, n]), style) for n in range(12)]


def test_curves_do_what_the_labels_say():
    seen = set()
    for story in stories():
        for first, stop, name in story.actions:
            seen.add(name)
            change = {"Open": story.door, "Rise": story.ball_y}.get(name)
            if name in ("Close", "Fall"):
                change = -(story.door if name == "Close" else story.ball_y)
            if change is not None:
                steps = np.diff(change[first - 1 : stop])
                assert (steps > 0).all() and change[first - 2] == change[first - 1] and change[stop] == change[stop - 1]
                assert 0.3 < change[stop] - change[first - 1] < 0.95
    assert seen == set(CLASSES)


def test_flash_begins_and_charge_ends_suddenly():
    for story in stories():
        for first, stop, name in story.actions:
            if name == "Flash":
                assert story.lamp[first] > 0.95 and story.lamp[first] - story.lamp[first - 1] > 0.5
                assert 0.03 < story.lamp[stop] < 0.5
            elif name == "Charge":
                assert story.lamp[stop - 1] > 0.95 and story.lamp[stop - 1] - story.lamp[stop] > 0.5
                assert 0.03 < story.lamp[first - 1] < 0.5


def test_classes_come_about_equally_often():
    names = [name for n in range(30) for *_, name in random_story(np.random.default_rng([1, n]), DemoStyle()).actions]
    counts = [names.count(name) for name in CLASSES]
    assert min(counts) > 0.6 * max(counts)


def test_painted_frames(demo):
    story = random_story(np.random.default_rng(0), STYLE)
    frames = list(paint(story, np.random.default_rng(1), STYLE))
    assert len(frames) == len(story) > 128  # more than one block
    assert all(f.shape == (16, 16, 3) and f.dtype == np.uint8 for f in frames)


def test_command_refuses_to_overwrite(tmp_path, capsys):
    out = tmp_path / "annotations" / "thumos_14_anno.json"
    out.parent.mkdir()
    out.write_text("{}")
    assert main(["--out", str(tmp_path)]) == 1 and "--overwrite" in capsys.readouterr().err
    assert main(["--out", str(tmp_path / "new"), "--videos", "1"]) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("changes", "words"), [({"size": 15}, "15"), ({"video_sec": (5.0, 9.0)}, "no room")])
def test_impossible_styles_are_errors(changes, words):
    with pytest.raises(ValueError, match=words):
        DemoStyle(**changes)
