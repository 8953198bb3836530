"""The numbers of a video are those of the data set path, window for window and to the bit."""

import json

import numpy as np
import pytest
import torch
from detect_files import CLASSES, FPS, PAIR, WRAP, write_config, write_weights

from opentad_bi.apis import detect, detect_all, init_detector
from opentad_bi.apis.common import batches
from opentad_bi.cli.main import call
from opentad_bi.datasets.detection.stream import VideoWindows
from opentad_bi.datasets.readers.base import open_video
from opentad_bi.registry import DATASETS

FUSION = """
model["fusion"] = dict(type="SplitFusion", boundary=dict(type="PointFC"), cls=dict(type="ClassMean"))
branches["fusion"] = "${branch}"
"""
CASES = {
    "single": "",
    "pair": PAIR,
    "wrapped pair": PAIR + WRAP,
    "fused pair": PAIR + FUSION,
    "merged with cross-direction voting": PAIR + "evaluation = dict(cross_direction_voting=1.0)\n",
    "two frames per position": "scale_factor = 2\n",
    "sparse grid": "dataset['test'] |= dict(sample_stride=2, offset_frames=3)\n",
    "windows of the reference": "dataset['test'] |= dict(reference_windows=True, window_overlap_ratio=0.5)\n",
    "bf16": "solver['amp'] = 'bf16'\n",
    "large frames": "image_size = 48\n",
}


def annotation(path):
    """What an annotation file that fits the decoded video says of it."""
    with open_video(path) as reader:
        return {"subset": "validation", "duration": len(reader) / reader.fps, "frame": len(reader), "annotations": []}


def dataset_results(config, weights, video, folder):
    """{direction: entries by falling score} of opentad-bi test for one video."""
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    (folder / "ann.json").write_text(json.dumps({"database": {video.stem: annotation(video)}}))
    files = {"annotation_path": folder / "ann.json", "class_map": folder / "classes.txt", "data_path": video.parent}
    options = [f"{key}={value}" for key, value in files.items()]
    words = [config, "--checkpoint", weights, "--not-eval", "--save-dir", folder / "out", "--device", "cpu"]
    assert call("test", [*words, "--work-dir", folder / "run", "--cfg-options", *options]) == 0
    found = {}
    for path in (folder / "out").glob("result_detection*.json"):
        direction = path.stem.removeprefix("result_detection").removeprefix("_") or "chief"
        entries = json.loads(path.read_text())["results"][video.stem]
        found[direction] = sorted(entries, key=lambda entry: -entry["score"])
    return found


@pytest.mark.parametrize("case", CASES)
def test_results_equal_those_of_the_test_command(case, videos, tmp_path):
    config = write_config(tmp_path, CASES[case])
    weights = write_weights(config, tmp_path / "weights.pth")
    model = init_detector(config, weights, "cpu")
    for name in ("long", "short") if case in ("single", "pair") else ("long",):
        folder = tmp_path / name
        folder.mkdir()
        expected = dataset_results(config, weights, videos[name], folder)
        found = detect_all(model, videos[name])
        assert len(expected["chief"]) > 20 and expected.pop("chief") == found.chief
        if expected:
            assert expected == found.detections
        assert {entry["label"] for entry in found.chief} == set(CLASSES)
        assert all(0 <= s <= e <= found.duration + 0.01 for s, e in (entry["segment"] for entry in found.chief))


@pytest.mark.parametrize("name", ["long", "exact", "short", "single"])
def test_samples_are_those_of_the_dataset(name, videos, pair, tmp_path):
    (tmp_path / "ann.json").write_text(json.dumps({"database": {name: annotation(videos[name])}}))
    files = {"ann_file": tmp_path / "ann.json", "class_map": CLASSES, "data_path": videos[name].parent}
    dataset = DATASETS.build({**pair.data, **files})
    with VideoWindows(pair.data, videos[name], CLASSES) as windows:
        assert len(windows) == len(dataset) and windows.fps == pytest.approx(FPS)
        samples = list(windows)
    for i, sample in enumerate(samples):
        expected = dataset[i]
        assert sample.keys() == expected.keys() and sample["meta"] == expected["meta"]
        assert torch.equal(sample["inputs"], expected["inputs"]) and torch.equal(sample["masks"], expected["masks"])
    assert len(samples) == len(dataset)


def test_batch_size_does_not_matter(videos, pair):
    one, many = (detect(pair, videos["long"], batch_size=size) for size in (1, 7))
    assert len(one) == pytest.approx(len(many), abs=3)
    for a, b in list(zip(one, many, strict=False))[:50]:
        assert a["label"] == b["label"] and a["score"] == pytest.approx(b["score"], abs=2e-4)
    with pytest.raises(ValueError, match="batch_size 0 must be at least 1"):
        detect(pair, videos["long"], batch_size=0)


def test_batches_hold_every_window_once(videos, pair):
    with VideoWindows(pair.data, videos["long"], CLASSES) as windows:
        sizes = [len(batch["meta"]) for batch in batches(windows, 2)]
    assert sizes == [2, 1]


def test_scores_fall_and_weak_ones_are_left_out(videos, pair):
    found = detect(pair, str(videos["long"]))
    scores = [entry["score"] for entry in found]
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[-1]
    limit = float(np.median(scores))
    assert detect(pair, videos["long"], min_score=limit) == [entry for entry in found if entry["score"] >= limit]


def test_directions(videos, pair):
    found = detect_all(pair, videos["short"])
    assert set(found.detections) == {"for", "back", "merged"}
    assert found.chief == found.detections["merged"] == detect(pair, videos["short"])
    for direction, entries in found.detections.items():
        assert detect(pair, videos["short"], direction=direction) == entries
    assert found.detections["for"] != found.detections["back"]
    assert (found.video, found.duration) == (videos["short"], pytest.approx(21 / FPS))
    with pytest.raises(ValueError, match=r"direction 'backward': this model gives none; .*\(all: back, for, merged\)"):
        detect(pair, videos["short"], direction="backward")
