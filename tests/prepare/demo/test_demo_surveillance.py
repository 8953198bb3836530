"""Generated surveillance videos: annotations say where things are, files fit each other, a user's files stay."""

import json
from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentad_bi.cli.main import call
from opentad_bi.datasets.readers.base import open_video
from opentad_bi.evaluation.common.frame_annotation import read_frame_annotation
from opentad_bi.prepare.demo import surveillance
from opentad_bi.prepare.demo.street import HEIGHT, WIDTH, paint
from opentad_bi.prepare.demo.surveillance import (
    CLASSES,
    FORMS,
    PATTERNS,
    as_form,
    make_demo_surveillance,
    random_scene,
)
from opentad_bi.prepare.ucf_crime import check_lists, read_list

SIDES = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])

main = partial(call, "demo-data surveillance")

anomalies = st.sampled_from(CLASSES[1:])


@pytest.fixture(scope="module", autouse=True)
def short_videos():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surveillance, "LENGTH", (130, 151))
        patch.setattr(surveillance, "EVENT", (40, 61))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surveillance") / "set"
    return folder, make_demo_surveillance(folder, train_videos=1, test_videos=1, forms=FORMS)


def keyed_boxes(region, length):
    """{frame: box} of a region, frame by frame as Label Studio means its keyframes."""
    keys, found = region["keyframes"], {}
    last = region.get("end_frame", length - 1 if keys[-1]["enabled"] else keys[-1]["frame"])
    for frame in range(region.get("start_frame", 0), last + 1):
        before = [key for key in keys if key["frame"] <= frame]
        if not before or not (before[-1]["enabled"] or before[-1]["frame"] == frame):
            continue
        one, other = before[-1], keys[min(len(before), len(keys) - 1)]
        part = (frame - one["frame"]) / max(1, other["frame"] - one["frame"])
        found[frame] = (1 - part) * np.array(one["bbox"]) + part * np.array(other["bbox"])
    return found


@settings(max_examples=60, deadline=None)
@given(anomalies, st.integers(1, 40), st.integers(0, 99))
def test_keyframes_say_where_the_thing_is_in_every_frame(name, number, seed):
    scene = random_scene(name, number, np.random.default_rng(seed))
    flags = "".join("FT"[key["enabled"]] for key in scene.regions[0]["keyframes"])
    frames = np.arange(scene.length)
    for region, track in zip(scene.regions, [*scene.tracks[-1:], *scene.tracks[-2:-1]], strict=False):
        boxes, seen = track.boxes_at(frames)
        said = keyed_boxes(region, scene.length)
        point = flags == "F" and region is scene.regions[0]
        assert len(said) == 1 if point else sorted(said) == frames[seen].tolist()
        assert all(seen[frame] and np.abs(box - boxes[frame] / SIDES).max() < 1e-3 for frame, box in said.items())
        assert all((box >= 0).all() and (box <= 1).all() and (box[2:] > box[:2]).all() for box in said.values())
    assert [list(event) for event in scene.events] == runs(scene.tracks[-1].boxes_at(frames)[1])
    assert len(scene.events) == (2 if flags == "TFTF" else 1)


def runs(seen):
    """Pairs (start, stop) of the runs of True."""
    starts = [n for n in range(len(seen)) if seen[n] and (n == 0 or not seen[n - 1])]
    stops = [n + 1 for n in range(len(seen)) if seen[n] and (n + 1 == len(seen) or not seen[n + 1])]
    return [list(pair) for pair in zip(starts, stops, strict=True)]


def test_every_pattern_of_keyframes_and_repeated_captions_occur():
    flags, captions = Counter(), Counter()
    for name in CLASSES[1:]:
        for number in range(1, 8):
            scene = random_scene(name, number, np.random.default_rng(number))
            region = scene.regions[0]
            flags["".join("FT"[key["enabled"]] for key in region["keyframes"]), "end_frame" in region] += 1
            captions[region["caption"].lower().rstrip(".")] += 1
    patterns = {(pattern.rstrip("+>."), pattern in ("TF", "TTT+", "T+")) for pattern in PATTERNS}
    assert set(flags) == patterns and set(flags.values()) == {4}
    assert max(captions.values()) > 1


def test_a_fire_is_seen_where_and_when_it_is_annotated_and_nowhere_else():
    rng = np.random.default_rng(3)
    scene = random_scene("Arson", 2, rng)
    inside = keyed_boxes(scene.regions[0], scene.length)
    for frame, picture in enumerate(paint(scene, rng)):
        red, green, blue = picture.astype(int).transpose(2, 0, 1)
        fire = (red > 200) & (green < 130) & (blue < 60) & (green > 60)
        if frame not in inside:
            assert fire.sum() == 0
            continue
        x1, y1, x2, y2 = (inside[frame] * SIDES).round().astype(int)
        assert fire[y1 : y2 + 1, x1 : x2 + 1].sum() == fire.sum() > 20


def test_lists_annotations_and_videos_fit_each_other(made):
    folder, counts = made
    assert counts == {"train": 8, "test": 8}
    lists = [read_list(folder / f"Anomaly_{split}.txt") for split in ("Train", "Test")]
    events = read_frame_annotation(folder / "Temporal_Anomaly_Annotation.txt")
    check_lists(*lists, events)
    for split, videos in zip(counts, lists, strict=True):
        entries = json.loads((folder / f"{split}.json").read_text())
        assert [entry["f_path"].split("/")[1][:-4] for entry in entries] == list(videos)
        assert Counter(videos.values()) == {name: 4 if name == "Normal" else 1 for name in CLASSES}
    for line in (folder / "Anomaly_Test.txt").read_text().split():
        with open_video(folder / "Videos" / line) as video:
            assert 130 <= len(video) <= 150 and video.frames([0]).shape == (1, HEIGHT, WIDTH, 3)
            entry = events[line.split("/")[1][:-4]]
            assert bool(entry.events) == (entry.label != "Normal")
            assert all(end <= len(video) for _, end in entry.events)


def test_all_forms_tell_the_same(made):
    folder, _ = made
    entries = json.loads((folder / "train.json").read_text())
    late, flat, nested = (json.loads((folder / f"train_{form}.json").read_text()) for form in FORMS[1:])
    for entry, own in zip(entries, late, strict=True):
        name = entry["f_path"].split("/")[1]
        segment = nested[name][f"{name[:-4]}_1.mp4"]
        assert flat[name]["global"]["Caption"] == segment["global"]["Caption"] == own["global_caption"]
        assert flat[name]["region"] == segment["region"] == entry["bbox_info"]
        assert own["region_captions"] == [region["caption"] for region in entry["bbox_info"]]
        boxes = [[(key["frame"], key["bbox"]) for key in region["keyframes"]] for region in entry["bbox_info"]]
        assert [[(key["frame"], key["bbox"]) for key in keys] for keys in own["box_infos"]] == boxes
        assert segment["timestamps"][0][1] * 25 >= 129.9
    assert as_form([entries[0] | {"duration": 1.0}], "list") == entries[:1]


def test_a_video_depends_on_seed_and_name_alone_and_making_again_leaves_nothing_old(made, tmp_path):
    (folder, _), out = made, tmp_path / "set"
    stale, mine = out / "Videos" / "Arson" / "Arson099_x264.mp4", out / "Videos" / "Arson" / "mine.mp4"
    stale.parent.mkdir(parents=True)
    for path in (stale, mine, out / "test_dict.json", out / "demo.json"):
        path.write_text("{}")
    words = ["--out", out, "--train-videos", "1", "--test-videos", "2"]
    assert main(words) == 1 and stale.exists()
    assert main([*words, "--overwrite"]) == 0
    assert mine.exists() and not stale.exists() and not (out / "test_dict.json").exists()
    assert (out / "tower.json").is_file() and (out / "tower.safetensors").is_file()
    for path in (folder / "Videos").rglob("*.mp4"):
        assert (out / "Videos" / path.relative_to(folder / "Videos")).read_bytes() == path.read_bytes(), path.name
    scenes = [random_scene("Arson", 1, np.random.default_rng(seed)) for seed in (0, 1)]
    assert scenes[0].length != scenes[1].length


def test_refuses_what_it_did_not_make(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(FileExistsError, match="holds no generated videos"):
        make_demo_surveillance(tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="train_videos=0"):
        make_demo_surveillance(tmp_path / "new", train_videos=0)
    with pytest.raises(ValueError, match="got 'xml'"):
        make_demo_surveillance(tmp_path / "new", forms=("list", "xml"))
    assert list(tmp_path.iterdir()) == [tmp_path / "mine.txt"]
