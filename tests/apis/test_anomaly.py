"""Scores of one file are those of the data set path; intervals and heat-maps follow from them."""

import json

import numpy as np
import pytest
import torch
from anomaly_files import CLASSES, write_anomaly_config, write_anomaly_weights, write_videos
from close import close
from detect_files import write_config, write_video
from places import SHARED

from opentad_bi.apis import detect_anomaly, heat_frames, init_anomaly_detector, localize
from opentad_bi.apis.anomaly import AnomalyDetector
from opentad_bi.cli.main import call
from opentad_bi.config import load_config
from opentad_bi.datasets.readers.base import VideoError, open_video
from opentad_bi.datasets.video_anomaly.records import Keyframe, Region
from opentad_bi.registry import MODELS


@MODELS.register_module(force=True)
class Blind(torch.nn.Module):
    """A model that knows nothing of frames."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Videos in a folder of their own."""
    return write_videos(tmp_path_factory.mktemp("anomaly videos"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_json):
    """A config and a checkpoint."""
    folder = tmp_path_factory.mktemp("anomaly model")
    config = write_anomaly_config(folder, tiny_json)
    return config, write_anomaly_weights(config, folder / "a.pth")


@pytest.fixture(scope="module")
def model(trained):
    return init_anomaly_detector(*trained, "cpu")


def test_scores_are_those_of_the_test_command(trained, model, files, tmp_path):
    words = [trained[0], "--checkpoint", trained[1], "--not-eval", "--save-dir", tmp_path, "--device", "cpu"]
    options = [f"dataset.test.videos={files['long'].parent}", f"work_dir={tmp_path / 'work'}"]
    assert call("test", [*map(str, words), "--cfg-options", *options]) == 0
    saved = json.loads((tmp_path / "frame_scores.json").read_text())["videos"]
    assert set(saved) == set(files)
    spread = 0.0
    for name, file in files.items():
        found = detect_anomaly(model, file)
        np.testing.assert_allclose(found.scores, saved[name], rtol=0, atol=1e-5)
        spread = max(spread, np.ptp(found.scores))
        one = detect_anomaly(model, file, batch_size=1)
        np.testing.assert_allclose(one.scores, found.scores, rtol=0, atol=1e-5)
    assert spread > 0.01


def test_rows_and_seconds(model, files):
    found = detect_anomaly(model, files["short"])
    assert (len(found.scores), found.stride, found.fps, found.duration) == (3, 8, 25.0, 21 / 25)
    assert found.edges_sec.tolist() == [0.0, 8 / 25, 16 / 25, 21 / 25]
    assert found.probabilities.shape == (3, 3) and found.probabilities.sum(1) == pytest.approx(1, abs=1e-5)
    close(found.scores, 1 - found.probabilities[:, 0], scale=1)
    assert list(found.class_probabilities) == CLASSES and found.label in CLASSES[1:]
    assert len(detect_anomaly(model, files["single"]).scores) == 1
    assert len(detect_anomaly(model, files["long"], stride=50).scores) == 3


def test_intervals_and_smoothing(model, files):
    plain = detect_anomaly(model, files["long"], threshold=0)
    assert [entry["segment"] for entry in plain.intervals] == [[0.0, 6.0]]
    middle = float(np.median(plain.scores))
    found = detect_anomaly(model, files["long"], threshold=middle)
    covered = sum(end - start for start, end in (entry["segment"] for entry in found.intervals))
    widths = np.diff(found.edges_sec)
    assert covered == pytest.approx(widths[found.scores >= middle].sum()) and 0 < covered < 6
    assert detect_anomaly(model, files["long"], threshold=1.0).intervals == []
    smoothed = detect_anomaly(model, files["long"], sigma=3.0)
    assert np.ptp(smoothed.scores) < np.ptp(plain.scores)
    assert np.array_equal(smoothed.probabilities, plain.probabilities)


def test_heat_maps_are_those_of_the_model(model, files):
    found = detect_anomaly(model, files["long"])
    shown = list(heat_frames(model, found, 3, "Fire"))
    assert len(shown) == 3 and [heat.row for heat in shown] == sorted(heat.row for heat in shown)
    assert max(heat.score for heat in shown) == found.scores.max()
    with open_video(files["long"]) as reader:
        for heat in shown:
            assert heat.frame == 8 * heat.row and np.array_equal(heat.image, reader.frames([heat.frame])[0])
    heats = np.stack([heat.heat for heat in shown])
    assert heats.shape == (3, 48, 64) and 0 <= heats.min() <= heats.max() <= 1
    corners = heats[:, ::47, ::63]  # beyond the middles of the outer patches: theirs, of a grid of 2 x 2
    assert (corners.min(), corners.max()) == (0, 1)
    assert all(heat.box[0] < heat.box[2] and heat.box[1] < heat.box[3] for heat in shown if heat.box is not None)
    with pytest.raises(KeyError, match="unknown class 'Fires'"):
        next(heat_frames(model, found, 3, "Fires"))
    bare = AnomalyDetector(torch.nn.Identity(), model.cfg, model.device, model.autocast)
    with pytest.raises(ValueError, match="the model FGCLIP has no heat-maps"):
        next(heat_frames(bare, found, 3))


def test_heat_maps_against_the_boxes_that_are_there(model, files, monkeypatch):
    """A model that points where the box is has an accuracy of 1, whatever the box does between keyframes."""
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    keyframes = (Keyframe(8, left, False), Keyframe(40, right, True), Keyframe(56, right, False))
    regions = [Region("a", None, None, keyframes), Region("no place", 3, 9, ())]
    asked = []

    def heat_map(frames, name):
        asked.append((len(frames), name))
        maps = torch.zeros(len(frames), 2, 2)
        maps[0, :, 0] = maps[1:, :, 1] = 1
        return maps

    found = detect_anomaly(model, files["long"])
    monkeypatch.setattr(model.model, "heat_map", heat_map)
    numbers = localize(model, found, regions, name="Fire")
    assert numbers == {"boxes": 4, "pointing": 1.0, "iou": 1.0, "iou50": 1.0}  # frames 8, 40, 48, 56
    assert asked == [(4, "Fire")]
    assert localize(model, found, regions[1:]) == {"boxes": 0}
    opened = [Region("a", None, None, keyframes[:2])]
    last = localize(model, found, opened, open_end="keyframe")["boxes"]
    assert last == 2 < localize(model, found, opened)["boxes"]  # frames 8, 40; up to the end
    ignored = localize(model, found, regions, enabled_mode="ignore")
    assert ignored["boxes"] == 7 and asked[-1] == (7, found.label)


def test_memory_does_not_grow_with_the_video(model, files, monkeypatch):
    """What reaches the model is a batch of runs at most."""
    seen, predict = [], model.model.predict
    monkeypatch.setattr(model.model, "predict", lambda batch: seen.append(batch["inputs"].shape) or predict(batch))
    detect_anomaly(model, files["long"], batch_size=2)
    assert [tuple(shape[:2]) for shape in seen] == [(2, 4), (2, 4), (1, 4)]


def test_variable_rates_have_the_seconds_of_a_player(model, tmp_path):
    times = [*range(16), *range(116, 132)]
    found = detect_anomaly(model, write_video(tmp_path / "a.mp4", 32, times=times))
    assert found.edges_sec[:4] == pytest.approx([0, 8 / 25, 116 / 25, 124 / 25], abs=1e-3)


def test_damage_is_told(model, files, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(files["short"].read_bytes()[:-300])
    with pytest.raises(VideoError, match=r"bad\.mp4 is cut short"):
        detect_anomaly(model, bad)
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        detect_anomaly(model, tmp_path / "gone.mp4")
    for options, message in (
        ({"threshold": 1.5}, "threshold 1.5 must be a number from 0 to 1"),
        ({"threshold": -1}, "threshold -1 must be"),
        ({"sigma": -1}, "sigma -1 must be"),
        ({"stride": 0}, "stride 0 must be"),
        ({"batch_size": 0}, "batch_size 0 must be"),
    ):
        with pytest.raises(ValueError, match=message):
            detect_anomaly(model, files["short"], **options)


def test_what_is_no_detector_of_anomalies_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match="there are no weights for branch 'vision'; give checkpoint"):
        init_anomaly_detector(trained[0], device="cpu")
    with pytest.raises(ValueError, match=r"dataset\.test is a ThumosSlidingDataset"):
        init_anomaly_detector(write_config(tmp_path), device="cpu")
    with pytest.raises(ValueError, match=r"frames of the dataset have 48 x 48 pixels, but .* takes 32 x 32"):
        init_anomaly_detector(*trained, "cpu", options={"dataset.test.size": 48})
    with pytest.raises(ValueError, match="options take effect while a config is read"):
        init_anomaly_detector(load_config(trained[0]), trained[1], "cpu", options={"dataset.test.stride": 4})
    cfg = load_config(trained[0])
    cfg.model = {"type": "Blind"}
    with pytest.raises(ValueError, match="the model Blind does not score frames: it needs classes, normal and predict"):
        init_anomaly_detector(cfg, trained[1], "cpu")


def test_classes_and_texts_may_be_new(trained, files):
    classes = ["normal", "Flood"]
    options = {"model.classes": classes, "dataset.test.stride": 10}
    found = detect_anomaly(init_anomaly_detector(*trained, "cpu", options=options), files["short"])
    assert (found.classes, found.normal, found.label, found.stride) == (classes, 0, "Flood", 10)
    cfg = load_config(trained[0])
    del cfg.model["classes"]
    assert init_anomaly_detector(cfg, trained[1], "cpu").model.classes == CLASSES


def test_a_real_clip(trained, model):
    file = SHARED / "data" / "videos" / "surveillance" / "holmesvau_robbery.mp4"
    if not file.is_file():
        pytest.skip(f"no real video at {file}; set OPENTAD_SHARED to the folder above data/")
    found = detect_anomaly(model, file, stride=50)
    with open_video(file) as reader:
        assert len(found.scores) == -(-len(reader) // 50) and found.duration == pytest.approx(len(reader) / reader.fps)
        assert next(heat_frames(model, found, 1)).image.std() > 1
    assert np.ptp(found.scores) > 0


@pytest.mark.cuda
def test_on_a_gpu(trained, files):
    found = detect_anomaly(init_anomaly_detector(*trained), files["long"])
    other = detect_anomaly(init_anomaly_detector(*trained, "cpu"), files["long"])
    np.testing.assert_allclose(found.scores, other.scores, atol=1e-3)


def test_heat_maps_that_are_not_finite_name_the_video(model, files, monkeypatch):
    found = detect_anomaly(model, files["short"])
    monkeypatch.setattr(model.model, "heat_map", lambda frames, name: torch.full((len(frames), 2, 2), float("nan")))
    with pytest.raises(ValueError, match=r"^video '.*short\.mp4': heat-maps are not finite"):
        list(heat_frames(model, found, 2))
