"""Exports of Label Studio become caption files: frames from 0, shares, lives kept, texts where they belong."""

import copy
import json
import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.cli.main import call
from opentad_bi.datasets.video_anomaly.captions import read_captions
from opentad_bi.datasets.video_anomaly.regions import VisibilityTrack
from opentad_bi.prepare.label_studio import import_file, import_tasks, video_file

main = partial(call, "label-studio")

SERVED = "/data"  # where Label Studio says that its files are


def keyframe(frame, enabled, x=10, y=20, width=30, height=40, **more):
    return {"frame": frame, "enabled": enabled, "x": x, "y": y, "width": width, "height": height,
            "time": frame / 25, "rotation": 0, **more}  # fmt: skip


def rectangle(number, *sequence, labels=("Fight",)):
    value = {"sequence": list(sequence), "framesCount": 250, "duration": 10, "labels": list(labels)}
    return {"id": number, "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value}


def text(number, *texts):
    return {"id": number, "type": "textarea", "from_name": "text", "to_name": "video", "value": {"text": list(texts)}}


def task(number, video, *results, **data):
    return {"id": number, "data": {"video": video, **data}, "annotations": [{"id": 1, "result": list(results)}]}


TASKS = [
    task(
        7,
        f"{SERVED}/upload/3/0a1b2c3d-Fighting003_x264.mp4",
        rectangle("a", keyframe(26, False), keyframe(1, True), keyframe(51, True)),
        rectangle("b", keyframe(11, True, width=90), keyframe(11, False, rotation=5)),
        text("a", "two men", "fight"),
        text("x", "A fight in a yard."),
    ),
    task(8, f"{SERVED}/local-files/?d=ucf/Normal_Videos001_x264.mp4", text("y", "Nothing happens."), category="Normal"),
    task(9, "later.mp4"),
]


def test_entries():
    entries, counts = import_tasks(copy.deepcopy(TASKS))
    fight, normal = entries
    assert fight["f_path"] == "Fighting003_x264.mp4" and fight["global_caption"] == "A fight in a yard."
    assert (fight["frames_count"], fight["fps"]) == (250, 25.0)
    first, second = fight["bbox_info"]
    box = [0.1, 0.2, 0.4, 0.6]
    assert first == {
        "caption": "two men fight",
        "start_frame": 0,
        "keyframes": [{"frame": f, "bbox": box, "enabled": e} for f, e in ((0, True), (25, False), (50, True))],
    }
    assert second == {"caption": "Fight", "start_frame": 10, "end_frame": 10,
                      "keyframes": [{"frame": 10, "bbox": box, "enabled": False}]}  # fmt: skip
    assert normal == {"f_path": "ucf/Normal_Videos001_x264.mp4", "global_caption": "Nothing happens.", "bbox_info": [],
                      "category": "Normal"}  # fmt: skip
    assert counts == {"tasks": 3, "videos": 2, "unlabelled": 1, "several": 0, "regions": 2, "keyframes": 4,
                      "rotated": 1, "uncaptioned": 0, "clipped boxes": 0, "empty sequences": 0}  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=6, unique_by=lambda item: item[0]))
def test_boxes_live_as_in_label_studio(tmp_path_factory, pairs):
    """In a video of 60 frames: on from an enabled keyframe, until one that is not, which still counts."""
    path = tmp_path_factory.mktemp("export") / "captions.json"
    source = task(1, "Fighting001.mp4", rectangle("a", *(keyframe(*pair) for pair in pairs)), text("x", "y"))
    path.write_text(json.dumps(import_tasks([source])[0]))
    track = VisibilityTrack(read_captions(path)[0][0].regions[0])
    lives, state = [], False
    for frame in range(1, 61):
        here = dict(pairs).get(frame)
        lives.append(state or here is not None)
        state = state if here is None else here
    assert track.visible(range(60)).tolist() == lives


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("clip.mp4", "clip.mp4"),
        ("https://host/a%20b/clip%201.mp4?token=3", "clip 1.mp4"),
        (f"{SERVED}/local-files/?d=x/y%20z.mp4", "x/y z.mp4"),
        (f"{SERVED}/upload/1/deadbeef-v=abc__#00-01-10_label_B1-0-0.mp4", "v=abc__#00-01-10_label_B1-0-0.mp4"),
        ("https://bucket/Fighting_1.mp4?X-Amz-Signature=a/b&d=5", "Fighting_1.mp4"),
        (f"{SERVED}/upload/1/deadbeef-clip.mp4", "clip.mp4"),
        ("videos\\clip.mp4", "clip.mp4"),
        (f"{SERVED}/upload/1/deadbeef-", "deadbeef-"),
    ],
)
def test_names_of_files(given, name):
    assert video_file(given) == name


def test_the_last_annotation_that_was_not_cancelled_counts():
    source = task(1, "a.mp4", text("x", "old"))
    source["annotations"] += [{"result": [text("x", "new")]}, {"result": [text("x", "no")], "was_cancelled": True}]
    entries, counts = import_tasks([source])
    assert entries[0]["global_caption"] == "new" and counts["several"] == 1


def broken(change):
    tasks = copy.deepcopy(TASKS)
    change(tasks)
    return tasks


def first(tasks):
    return tasks[0]["annotations"][0]["result"][0]


def box(tasks):
    return first(tasks)["value"]["sequence"][1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: box(t).update(frame=0), "task 7: region 0: keyframe 1: frame 0 is not a whole number from 1"),
        (lambda t: box(t).update(width=95), "keyframe 1: x, y, width, height .* are not a box within 100 percent"),
        (lambda t: box(t).pop("x"), "are not four numbers"),
        (lambda t: box(t).update(enabled="yes"), "enabled 'yes' is neither"),
        (lambda t: t[1]["data"].pop("video"), "task 8: data has no 'video'; it has 'category'"),
        (lambda t: t[1]["data"].update(video="a/"), "names no file"),
        (lambda t: t.append(t[0]), "task 7: video 'Fighting003_x264.mp4' is that of another task too"),
        (lambda t: t.append(3), "task 3: an object with 'data' is expected"),
        (lambda t: t.clear(), "a list of tasks is expected"),
        (lambda t: t[0].update(annotations=[{"result": [3]}]), "result 0 is not an object"),
        (lambda t: t[0].update(annotations=[{"result": 3}]), "task 7: result 3 is not a list"),
        (lambda t: first(t).update(id=["a"]), r"task 7: result 0: id \['a'\] is neither a text nor a number"),
        (lambda t: first(t).update(id={"a": 1}), "result 0: id {'a': 1} is neither"),
        (lambda t: box(t).update(x=10**400), "are not four numbers"),
        (lambda t: t[1]["data"].update(category=[3]), r"task 8: \[3\] is not a text"),
    ],
)
def test_mistakes(change, told):
    with pytest.raises(ValueError, match=told):
        import_tasks(broken(change))


JUNK = [None, True, -1, 2.5, 1e300, 10**400, float("nan"), float("inf"), "", "x", "\0", "\ud800", "http://[", [], {},
        [[]], [1], {"a": 1}, {"result": 3}]  # fmt: skip


def damaged(rng):
    """Tasks with one thing in them replaced, removed or repeated."""
    node, trail = copy.deepcopy(TASKS), []
    tasks = node
    while isinstance(node, (dict, list)) and node and (not trail or rng.random() < 0.9):
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        trail.append((node, key))
        node = node[key]
    parent, key = rng.choice(trail)
    action = rng.randrange(4)
    if action == 0:
        del parent[key]
    elif action == 1 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))
    else:
        parent[key] = rng.choice(JUNK)
    return tasks


def test_damaged_exports_are_read_or_named(tmp_path):
    """What is written can be read as a caption file; what cannot be is told with the name of the file."""
    rng, failures, source, out = random.Random(0), 0, tmp_path / "export.json", tmp_path / "captions.json"
    for _ in range(300):
        source.write_text(json.dumps(damaged(rng)))
        try:
            import_file(source, out, overwrite=True)
        except (ValueError, FileNotFoundError) as error:
            failures += str(source) in str(error) or pytest.fail(f"the file is not named in {error!r}")
        else:
            assert read_captions(out)[0]
    assert 40 < failures < 260


def test_the_command(tmp_path, capsys):
    source, out = tmp_path / "export.json", tmp_path / "captions.json"
    source.write_text(json.dumps(TASKS))
    assert main([source, out]) == 0
    told = capsys.readouterr().out
    assert all(part in told for part in (f"{out}: 3 tasks", "2 videos", "1 unlabelled", "4 keyframes", "1 rotated"))
    records, report = read_captions(out)
    assert [record.abnormal for record in records] == [True, False] and report.patterns == {"TFT": 1, "F": 1}
    before = out.read_bytes()
    assert main([source, out]) == 1 and "--overwrite" in capsys.readouterr().err
    source.write_text(json.dumps(broken(lambda t: box(t).update(frame=0))))
    assert main([source, out, "--overwrite"]) == 1 and "export.json" in capsys.readouterr().err
    assert main([source, source, "--overwrite"]) == 1 and out.read_bytes() == before
    source.write_text(json.dumps(TASKS[2:]))
    assert main([source, out, "--overwrite"]) == 1 and "none of 1 tasks is annotated" in capsys.readouterr().err


def test_what_is_not_read_is_counted_and_an_empty_annotation_hides_none():
    work = task(
        1, "a.mp4", rectangle("a", keyframe(1, True)), {"id": "c", "type": "choices", "value": {"choices": ["x"]}}
    )
    work["annotations"].append({"id": 2, "result": []})
    (entry,), counts = import_tasks([work])
    assert len(entry["bbox_info"]) == 1 and counts["ignored choices"] == 1 and counts["several"] == 1


def test_a_box_that_rounds_to_nothing_is_named():
    with pytest.raises(ValueError, match=r"task 1: region 0: keyframe 0: .* no area in 6 digits"):
        import_tasks([task(1, "a.mp4", rectangle("a", keyframe(1, True, width=1e-6)))])


def test_an_empty_sequence_is_skipped_and_counted():
    empty = rectangle("c")
    entries, counts = import_tasks([task(1, "a.mp4", empty, rectangle("a", keyframe(1, True)), text("c", "of nothing")),
                                    task(2, "b.mp4", empty), task(3, "c.mp4", text("x", "Nothing."))])  # fmt: skip
    assert [(entry["f_path"], len(entry["bbox_info"])) for entry in entries] == [("a.mp4", 1), ("c.mp4", 0)]
    assert entries[0]["global_caption"] == "" and counts["empty sequences"] == 2 and counts["unlabelled"] == 1


def test_boxes_over_the_edge_are_clipped_up_to_two_percent():
    entries, counts = import_tasks([task(1, "a.mp4", rectangle("a", keyframe(1, True, x=-1.5, y=61.9)))])
    assert entries[0]["bbox_info"][0]["keyframes"][0]["bbox"] == [0.0, 0.619, 0.285, 1.0]
    assert counts["clipped boxes"] == 1
    for change, hint in ({"x": 73}, "up to 2 are clipped"), ({"x": 320, "width": 200}, "are they pixels"):
        with pytest.raises(ValueError, match=hint):
            import_tasks([task(1, "a.mp4", rectangle("a", keyframe(1, True, **change)))])


def test_a_bad_region_can_be_skipped_and_its_video_stays(tmp_path, capsys):
    source = tmp_path / "export.json"
    bad, good = rectangle("b", keyframe(0, True)), rectangle("a", keyframe(1, True))
    source.write_text(json.dumps([task(1, "a.mp4", bad, good)]))
    assert main([str(source), str(tmp_path / "out.json")]) == 1
    assert "region 0" in capsys.readouterr().err and not (tmp_path / "out.json").exists()
    assert main([str(source), str(tmp_path / "out.json"), "--on-bad-region", "skip"]) == 0
    assert "1 skipped regions" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "out.json").read_text())[0]["bbox_info"]) == 1
