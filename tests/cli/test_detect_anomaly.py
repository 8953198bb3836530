"""opentad-bi detect-anomaly: what it writes, what it refuses before any work, and one bad video among many."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "apis"))
from anomaly_files import CLASSES, write_anomaly_config, write_anomaly_weights
from detect_files import write_video

from opentad_bi.apis import detect_anomaly, init_anomaly_detector
from opentad_bi.cli import detect_anomaly as command
from opentad_bi.cli.main import call


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_json):
    """Words that name a config and a checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    config = write_anomaly_config(folder, tiny_json)
    return [str(config), str(write_anomaly_weights(config, folder / "a.pth"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two videos."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "a.mp4", 70, seed=1)
    write_video(folder / "b.mkv", 21, seed=2)
    return folder


@pytest.fixture
def run(trained, tmp_path, capsys):
    """Run the command on the CPU; returns the exit code and what stderr got."""

    def run(*words):
        code = call("detect-anomaly", [*trained, "--out", tmp_path / "out", "--device", "cpu", *words])
        return code, capsys.readouterr().err

    return run


def files(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def page_data(path):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text())[1])


def test_a_folder_of_videos(run, trained, folder, tmp_path):
    code, errors = run(folder, "--threshold", "0.3", "--smooth", "1", "--heat-maps", "2", "--heat-class", "fire")
    assert code == 0, errors
    out, model = tmp_path / "out", init_anomaly_detector(*trained, "cpu")
    tables = json.loads((out / "detections.json").read_text())["results"]
    heats = []
    for name in ("a.mp4", "b.mkv"):
        found = detect_anomaly(model, folder / name, threshold=0.3, sigma=1.0)
        saved = json.loads((out / f"{name[0]}.scores.json").read_text())
        assert saved["rows"]["score"] == found.scores.tolist()
        assert saved["rows"]["start_sec"] == found.edges_sec[:-1].tolist()
        assert np.array_equal(np.float32(saved["rows"]["probabilities"]), found.probabilities)
        assert (saved["intervals"], saved["classes"]) == (found.intervals, CLASSES)
        assert (saved["class"], saved["class_probabilities"]) == (found.label, found.class_probabilities)
        assert f"{len(found.scores)} frames of {found.duration:.1f} s looked at" in errors
        shared = [{key: entry[key] for key in ("segment", "label", "score")} for entry in found.intervals]
        assert tables[name[0]] == shared
        data = page_data(out / f"{name[0]}.html")
        assert data["curve"]["levels"] == found.scores.tolist() and data["threshold"] == 0.3
        assert data["detections"]["model"] == shared
        assert [p["time"] for p in data["pictures"]] == [heat["sec"] for heat in saved["heat_maps"]]
        assert len(saved["heat_maps"]) == 2 and {heat["class"] for heat in saved["heat_maps"]} == {"fire"}
        heats += [heat["file"] for heat in saved["heat_maps"]]
    expected = [f"{name}{end}" for name in "ab" for end in (".html", ".png", ".scores.json")]
    assert files(out) == sorted([*expected, *heats, "detections.csv", "detections.json"])
    assert all(imread(out / heat).shape[1] >= 60 for heat in heats)
    rows = [(v, *e["segment"], e["label"], e["score"]) for v in tables for e in tables[v]]
    assert [tuple(row) for row in pd.read_csv(out / "detections.csv").itertuples(index=False)] == rows and rows


def test_options_reach_the_model(run, folder, tmp_path):
    words = ["--stride", "30", "--threshold", "1", "--no-page", "--batch-size", "1"]
    assert run(folder / "a.mp4", *words, "--cfg-options", "model.classes=['normal','x']")[0] == 0
    saved = json.loads((tmp_path / "out" / "a.scores.json").read_text())
    assert saved["rows"]["start_sec"] == [0.0, 1.2, 2.4] and saved["class"] == "x"
    assert saved["intervals"] == saved["heat_maps"] == []
    assert files(tmp_path / "out") == ["a.png", "a.scores.json", "detections.csv", "detections.json"]


def test_boxes_are_read_as_those_of_the_training(tmp_path):
    keyframe = {"frame": 9, "bbox": [0, 0, 1, 1], "enabled": True}
    entry = {"f_path": "a.mp4", "category": "fire", "bbox_info": [{"caption": "x", "keyframes": [keyframe]}]}
    (tmp_path / "boxes.json").write_text(json.dumps([entry]))
    train = {"frame_base": 1, "enabled_mode": "ignore", "open_end": "keyframe", "size": 8}
    model = SimpleNamespace(cfg=SimpleNamespace(dataset={"train": train}), model=SimpleNamespace(classes=CLASSES))
    found = command.read_boxes(tmp_path / "boxes.json", model)["a"]
    assert found["regions"][0].keyframes[0].frame == 8 and found["name"] in CLASSES
    assert (found["enabled_mode"], found["open_end"]) == ("ignore", "keyframe") and len(found) == 4


def test_heat_maps_are_measured_by_annotated_boxes(run, folder, tmp_path):
    keyframes = [
        {"frame": 0, "bbox": [0, 0, 0.5, 0.5], "enabled": True},
        {"frame": 40, "bbox": [0.5, 0, 1, 0.5], "enabled": False},
    ]
    regions = [{"caption": "flames", "keyframes": keyframes}]
    entries = [
        {"f_path": "Fire/a.mp4", "category": "Fire", "global_caption": "it burns", "bbox_info": regions},
        {"f_path": "Fire/other.mp4", "category": "Fire", "global_caption": "a fire", "bbox_info": regions},
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(entries))
    code, errors = run(folder, "--boxes", tmp_path / "boxes.json", "--no-page")
    assert code == 0, errors
    found = json.loads((tmp_path / "out" / "localisation.json").read_text())
    assert set(found["videos"]) == {"a"} and found["all"] == pytest.approx(found["videos"]["a"])
    assert found["all"]["boxes"] == 6 and 0 <= found["all"]["iou"] <= 1  # frames 0, 8, ... 40
    (tmp_path / "boxes.json").write_text(json.dumps(entries[1:]))
    code, errors = run(folder, "--boxes", tmp_path / "boxes.json", "--no-page")
    assert code == 1 and "has none of the videos (a" in errors and "but other" in errors
    code, errors = run(folder, "--boxes", tmp_path / "gone.json")
    assert code == 1 and "gone.json does not exist" in errors


def test_an_unreadable_video_among_many(run, folder, tmp_path):
    (tmp_path / "cut.mp4").write_bytes((folder / "a.mp4").read_bytes()[:-300])
    (tmp_path / "empty.avi").touch()
    code, errors = run(tmp_path / "cut.mp4", tmp_path / "empty.avi", folder / "b.mkv", "--no-page")
    assert code == 1 and "Traceback" not in errors
    lines = [line for line in errors.splitlines() if "ERROR" in line]
    assert "cut.mp4 is cut short" in lines[0] and "empty.avi is empty (0 bytes)" in lines[1]
    assert lines[2].endswith(f"2 of 3 videos failed: {tmp_path / 'cut.mp4'}, {tmp_path / 'empty.avi'}")
    assert list(json.loads((tmp_path / "out" / "detections.json").read_text())["results"]) == ["b"]
    assert files(tmp_path / "out") == ["b.png", "b.scores.json", "detections.csv", "detections.json"]


@pytest.mark.parametrize(
    ("step", "what"),
    [("draw_heat_frame", "heat-maps"), ("draw_score_curve", "picture"), ("playable", "page"), ("write_page", "page")],
)
def test_what_cannot_be_shown_is_found_all_the_same(run, folder, tmp_path, monkeypatch, step, what):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, step, fail)
    code, errors = run(folder / "b.mkv", "--heat-maps", "1")
    assert code == 1 and "Traceback" not in errors and f"b.mkv: no {what}: [Errno 28] No space left" in errors
    kinds = {"heat-maps": "heat_maps", "picture": "b.png", "page": "b.html"}
    left = {file.split("/")[0] for file in files(tmp_path / "out")}
    assert left == {"detections.json", "detections.csv", "b.scores.json", *kinds.values()} - {kinds[what]}


def test_mistakes_are_told_before_any_work(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "init_anomaly_detector", lambda *_, **__: pytest.fail("work was begun"))
    for words, message in (
        ([tmp_path / "gone.mp4"], "gone.mp4 does not exist"),
        ([folder, "--threshold", "2"], "--threshold 2.0 must be a number from 0 to 1"),
        ([folder, "--smooth", "-1"], "--smooth -1.0 must be a number of at least 0"),
        ([folder, "--smooth", "nan"], "--smooth nan must be a number of at least 0"),
        ([folder, "--stride", "0"], "--stride 0 must be a number of at least 1"),
        ([folder, "--heat-maps", "-1"], "--heat-maps -1 must be a number of at least 0"),
        ([folder, "--batch-size", "0"], "--batch-size 0 must be"),
    ):
        code, errors = run(*words)
        assert code == 1 and message in errors and len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_class_of_heat_maps_is_told_before_any_video(run, folder, tmp_path):
    code, errors = run(folder, "--heat-maps", "1", "--heat-class", "Fires")
    assert code == 1 and "--heat-class 'Fires': no such class; did you mean 'Fire'" in errors
    assert files(tmp_path / "out") == []
