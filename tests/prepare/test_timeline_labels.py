"""Timeline exports of Label Studio become annotations of actions: frames from 1, both ends included."""

import json
from functools import partial

import pytest
from places import SHARED

from opentad_bi.cli.main import call
from opentad_bi.datasets.video_anomaly.captions import read_captions
from opentad_bi.evaluation.detection.io import load_ground_truth
from opentad_bi.prepare.label_studio import import_timeline
from opentad_bi.utils.annotation import read_database

main = partial(call, "label-studio")
reverse = partial(call, "reverse-annotations")

SERVED = "/data"  # where Label Studio says that its files are


@pytest.fixture
def clip(clips):
    """Path of a video of 100 frames at 25 frames per second."""
    return clips("tiny clip.mp4", 100)


def region(*ranges, labels=("Open",)):
    value = {"ranges": [{"start": start, "end": end} for start, end in ranges], "timelinelabels": list(labels)}
    return {"id": "r1", "type": "timelinelabels", "from_name": "tl", "to_name": "video", "value": value}


def task(*results, video=f"{SERVED}/upload/1/abcdef12-clip.mp4", **data):
    return {"id": 1, "data": {"video": video, **data}, "annotations": [{"id": 1, "result": list(results)}]}


def actions(content, **options):
    """(start, end, label) of the one video of an export."""
    (entry,) = import_timeline(content, **options)[0]["database"].values()
    return [(*action["segment"], action["label"]) for action in entry["annotations"]]


def test_frames_count_from_one_and_both_ends_are_included():
    assert actions([task(region((53, 146)))], fps=25) == [(2.08, 5.84, "Open")]
    assert actions([task(region((53, 146)))], fps=25, first_frame=0) == [(2.12, 5.88, "Open")]
    assert actions([task(region((30, 30)))], fps=30) == [(round(29 / 30, 6), 1.0, "Open")]
    both = [task(region((26, 50), (1, 25), labels=["Open", "Close"]))]
    assert actions(both, fps=25) == [(0, 1, "Open"), (0, 1, "Close"), (1, 2, "Open"), (1, 2, "Close")]


def test_where_the_rate_comes_from(clip):
    tag = '<View><TimelineLabels name="tl"/><Video name="video" frameRate="{}" value="$video"/></View>'
    one, folder = [task(region((1, 50)), video=clip.name)], clip.parent
    assert actions(one, video_root=folder) == [(0, 2, "Open")]
    assert actions([{**one[0], "label_config": tag.format("50")}], video_root=folder) == [(0, 1, "Open")]
    with_data = task(region((1, 50)), video=clip.name, fps="100", rate=20)
    assert actions([{**with_data, "label_config": tag.format("50")}], video_root=folder) == [(0, 0.5, "Open")]
    del with_data["data"]["fps"]
    assert actions([{**with_data, "label_config": tag.format("$rate")}]) == [(0, 2.5, "Open")]
    assert actions(one, video_root=folder, fps=10) == [(0, 5, "Open")]
    old_key = [{key if key != "annotations" else "completions": value for key, value in one[0].items()}]
    assert actions(old_key, fps=10) == [(0, 5, "Open")]
    with pytest.raises(
        ValueError, match=r"task 1: region 'r1' is in frames of unknown rate; .*--fps N.*--video-root DIR"
    ):
        import_timeline(one)


def test_lengths_come_from_the_file(clip):
    entry = import_timeline([task(region((1, 50)), video=clip.name)], video_root=clip.parent)[0]["database"][
        "tiny clip"
    ]
    assert (entry["frame"], entry["duration"]) == (100, 4.0)
    assert "frame" not in import_timeline([task(region((1, 50)))], fps=25)[0]["database"]["clip"]
    with pytest.raises(FileNotFoundError, match=r"task 1: video clip\.mp4 is not in"):
        import_timeline([task(region((1, 50)))], video_root=clip.parent)


def test_an_avi_whose_packets_have_no_times_is_counted_frame_by_frame(clips):
    clip = clips("b_frames.avi", 30, options={"bf": "3", "x264-params": "b-adapt=0:scenecut=0"})
    entry = import_timeline([task(region((1, 25)), video=clip.name)], video_root=clip.parent)[0]["database"]["b_frames"]
    assert (entry["frame"], entry["duration"], entry["annotations"][0]["segment"]) == (30, 1.2, [0.0, 1.0])


def test_other_forms_of_export():
    minimal = [{"id": 7, "video": "a/clip.mp4", "tl": [region((1, 25))["value"]], "annotator": 1}]
    assert actions(minimal, fps=25) == [(0, 1, "Open")]
    config = '<Video name="video" value="$video" framerate="25.0" />'
    request = {"task": {"id": 4, "data": {"video": "clip.mp4"}}, "annotation": {"result": [region((1, 25))]},
               "project": {"label_config": config}}  # fmt: skip
    assert actions(request) == [(0, 1, "Open")]


def test_what_is_not_an_action_is_counted():
    content = [
        task(region((1, 25)), {"type": "choices", "value": {"choices": ["good"]}}, video="a.mp4"),
        task(video="b.mp4"),
        {"id": 3, "data": {"video": "c.mp4"}, "annotations": [{"was_cancelled": True, "result": [region((1, 2))]}]},
        {"id": 4, "data": {"video": "d.mp4"}, "predictions": [{"result": [region((1, 2))]}]},
    ]
    annotation, counts = import_timeline(content, fps=25, subset="validation")
    assert {name: len(e["annotations"]) for name, e in annotation["database"].items()} == {"a": 1, "b": 0}
    assert +counts == {"tasks": 4, "videos": 2, "actions": 1, "unlabelled": 2, "ignored choices": 1}
    assert read_database(annotation)["a"]["subset"] == "validation"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([task(region((30, 25)))], r"task 1: region 'r1': range .*'start': 30, 'end': 25.* not after its end"),
        ([task(region((0, 25)))], "must begin at frame 1 or later"),
        ([task(region((1.5, 25)))], "whole numbers of frames"),
        ([task(region(("a", 25)))], "whole numbers of frames"),
        ([task(region((1, True)))], "whole numbers of frames"),
        ([task(region())], r"ranges \[\] is not a list of frames"),
        ([task(region((1, 25), labels=[]))], r"timelinelabels \[\] is not a list of names"),
        ([task(region((1, 25), labels=[3]))], r"timelinelabels \[3\] is not a list of names"),
        ([task(region((1, 25))), task(region((1, 25)))], "video 'clip' is that of another task too"),
        ([task(region((1, 25)), fps=-1)], "fps -1 is not a positive number"),
        ([{"id": 1, "data": {"text": "x"}}], "task 1: data has no 'video'; it has 'text'"),
        ([{"id": 1, "data": {"video": "x.mp4"}}], "none of 1 tasks is annotated"),
        ([{"id": 1, "data": {"video": "x.mp4"}, "annotations": 5}], "task 1: annotations are not a list of objects"),
        ([3], "task 0: an object with 'data' is expected"),
        ({}, "a list of tasks is expected"),
    ],
)
def test_errors_name_task_region_and_value(content, said):
    fps = None if "fps" in said else 25
    with pytest.raises(ValueError, match=said):
        import_timeline(content, fps=fps)


def test_the_command_recognises_a_timeline(tmp_path, capsys, clip, caplog):
    src, out = tmp_path / "export.json", tmp_path / "annotation.json"
    src.write_text(json.dumps([task(region((26, 50)), video=f"{SERVED}/upload/1/abcdef12-{clip.name}")]))
    assert main([src, out]) == 1 and not out.exists()
    assert "--fps N" in capsys.readouterr().err
    options = ["--video-root", clip.parent, "--subset", "validation"]
    assert main([src, out, *options]) == 0
    assert "1 tasks, 1 videos, 1 actions" in capsys.readouterr().out.replace(", 1 videos at the rate of their file", "")
    assert "the timelines of 1 videos is unknown" in caplog.text
    assert load_ground_truth(out, "validation").rows.segments.tolist() == [[1.0, 2.0]]
    assert reverse([out, tmp_path / "back.json"]) == 0
    assert load_ground_truth(tmp_path / "back.json", "validation").rows.segments.tolist() == [[2.0, 3.0]]
    assert main([src, out, "--fps", "25"]) == 1 and "--overwrite replaces it" in capsys.readouterr().err
    assert main([src, out, "--fps", "25", "--overwrite"]) == 0
    box = {"id": "b", "type": "videorectangle", "value": {"sequence": []}}
    src.write_text(json.dumps([task(region((26, 50)), box)]))
    assert main([src, out, "--fps", "25", "--overwrite"]) == 1
    assert "both timeline labels and boxes" in capsys.readouterr().err
    assert main([src, out, "--fps", "25", "--overwrite", "--form", "actions"]) == 0


def test_readers_of_captions_and_of_annotation_name_the_command(tmp_path):
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task(region((53, 146)))]))
    for read in (read_captions, read_database):
        with pytest.raises(
            ValueError, match=r"export\.json.* timeline export of Label Studio; .*opentad-bi label-studio"
        ):
            read(path)


def test_the_case_by_the_command(tmp_path):
    path = SHARED / "cases" / "annotation" / "label_studio_timeline.json"
    if not path.is_file():
        pytest.skip(f"no case at {path}; set OPENTAD_SHARED to the folder above cases/")
    assert main([path, tmp_path / "out.json", "--fps", "25"]) == 0
    database = read_database(tmp_path / "out.json")
    assert database["clip"]["annotations"] == [{"segment": [52 / 25, 146 / 25], "label": "Open"}]
