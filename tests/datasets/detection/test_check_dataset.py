"""The check finds every kind of trouble before training does."""

import json
from functools import partial

import numpy as np
import pytest
from dataset_files import feature_pipeline, frame_pipeline

from opentad_bi.cli.main import call
from opentad_bi.datasets.detection.check import check_dataset
from opentad_bi.registry import DATASETS
from opentad_bi.utils.checks import result_table

main = partial(call, "check")


@pytest.fixture
def cfg(make, videos):
    return lambda **arguments: make(**{"data_path": str(videos / "for"), "pipeline": frame_pipeline(), **arguments})


def problems(found, level="error"):
    return " | ".join(f"{finding.video}: {finding.found}" for finding in found if finding.level == level)


def paired(cfg, folder):
    return {"type": "PairedDataset", "dataset": cfg, "source": "files", "back_data_path": str(folder)}


def test_sound_data_has_no_errors(cfg, videos, make, features):
    assert problems(check_dataset(cfg())) == ""
    assert problems(check_dataset(paired(cfg(), videos / "back"))) == ""
    feature_cfg = make(data_path=str(features / "for"), pipeline=feature_pipeline())
    assert problems(check_dataset(feature_cfg)) == ""
    assert problems(check_dataset(paired(feature_cfg, features / "back"))) == ""


def test_annotation_trouble(cfg, database):
    database["long"]["annotations"] += [
        {"segment": [1.0, 2.0], "label": "Ski"},
        {"segment": [5.0, 99.0], "label": "Dive"},
        {"segment": [5.0, 10.0], "label": "Dive"},
        {"segment": [3.0, 3.0], "label": "Dive"},
    ]
    database["middle"]["duration"] = -1
    found = check_dataset(cfg(block_list=["nobody"]), full=False)
    text = problems(found)
    assert "long: labels ['Ski'] are not in the class map" in text
    assert "long: segment [5.0, 99.0] is not inside the video (0 to 9.2 s)" in text
    assert "middle: duration -1 is not a positive number" in text
    warnings = problems(found, "warning")
    assert "long: segment [5.0, 10.0] is not inside the video (0 to 9.2 s)" in warnings
    assert "long: segment [3.0, 3.0] does not end after its start" in warnings
    assert "short: 1 annotations repeat another one" in warnings
    assert "nobody: is on the block list but not in the annotation" in warnings


@pytest.mark.parametrize(
    ("key", "value"), [("feature_stride", 0), ("feature_stride", "4"), ("sample_stride", True), ("fps", None)]
)
def test_numbers_of_the_config(cfg, key, value):
    said = f"{key}={value!r} of the dataset: a "
    assert said in problems(check_dataset(cfg(**{key: value})))
    with pytest.raises(ValueError, match=said):
        DATASETS.build(cfg(**{key: value}))


def test_a_video_of_less_than_a_frame_has_one(cfg, database):
    database["long"] |= {"duration": 0.01, "annotations": [{"segment": [0.0, 0.01], "label": "Dive"}]}
    dataset = DATASETS.build(cfg(fps=25))
    assert [video.frames for video in dataset.videos if video.name == "long"] == [1]


def test_frame_rate_and_name_trouble(cfg, database, tmp_path):
    database["short"]["duration"] = 0.02
    database["short"]["annotations"] = []
    arguments = cfg()
    text = json.dumps({"database": database})
    (tmp_path / "annotation.json").write_text(text.replace('"middle"', '"long"'))
    found = check_dataset(arguments, full=False)
    assert "short: 50 frames in 0.02 s are 2500.00 frames per second" in problems(found, "warning")
    assert "long: is there more than once" in problems(found)


def test_unknown_subset_class_map_and_annotation(cfg, tmp_path):
    assert "did you mean 'training'? (all: training, validation)" in problems(check_dataset(cfg(subset_name="train")))
    arguments = cfg()
    (tmp_path / "category_idx.txt").unlink()
    assert "category_idx.txt does not exist" in problems(check_dataset(arguments))
    (tmp_path / "annotation.json").write_text("{")
    assert "not valid JSON" in problems(check_dataset(arguments))
    (tmp_path / "annotation.json").unlink()
    assert "annotation.json does not exist" in problems(check_dataset(arguments))


def test_no_ground_truth(cfg, database):
    for name in ("long", "short"):
        database[name]["annotations"] = []
    assert "no video of subset 'training' has ground truth" in problems(check_dataset(cfg(), full=False))
    assert problems(check_dataset(cfg(test_mode=True), full=False)) == ""


def test_missing_and_damaged_videos(cfg, videos, tmp_path):
    assert "long: video 'long' is not in" in problems(check_dataset(cfg(data_path=str(tmp_path)), full=False))
    content = (videos / "for" / "short.mp4").read_bytes()
    (tmp_path / "short.mp4").write_bytes(content[: len(content) // 2])
    assert "short.mp4 is cut short" in problems(check_dataset(cfg(data_path=str(tmp_path))))


def test_frame_count_against_the_annotation(cfg, database):
    database["long"]["frame"] = 239
    assert "has 230 frames, the annotation 239" in problems(check_dataset(cfg()), "warning")
    database["long"]["frame"] = 300
    assert "has 230 frames, the annotation 300" in problems(check_dataset(cfg()))
    found = check_dataset(cfg(), full=False)
    assert problems(found) == ""
    assert "1 of 2 videos do not have as many frames as the annotation says, by over 2%" in problems(found, "warning")


def test_reversed_files(cfg, videos, tmp_path):
    found = check_dataset(paired(cfg(), tmp_path), full=False)
    assert f"short: video 'short' is not in {tmp_path}" in problems(found)
    (tmp_path / "long.mp4").write_bytes((videos / "back" / "long.mp4").read_bytes())
    (tmp_path / "short.mp4").write_bytes((videos / "back" / "middle.mp4").read_bytes())
    assert "short: forward and reversed file have 50 and 131 positions" in problems(
        check_dataset(paired(cfg(), tmp_path))
    )


def test_feature_trouble(make, features, tmp_path):
    feats = np.load(features / "for" / "long.npy")
    feats[3, 2] = np.nan
    np.save(tmp_path / "long.npy", feats)
    arguments = make(data_path=str(tmp_path), pipeline=feature_pipeline(), feature_stride=40)
    assert "short.npy do not exist" in problems(check_dataset(arguments, full=False))
    text = problems(check_dataset(arguments))
    assert "long.npy hold 1 NaN or infinite" in text
    assert "stand for 2320 frames (stride 40), the annotation says 230" in text


def test_pipeline_trouble(cfg):
    found = check_dataset(cfg(pipeline=[{"type": "LoadFrame"}]))
    assert "pipeline: " in problems(found)
    assert "did you mean 'LoadFrames'" in problems(found)


def test_table_counts(cfg):
    found = check_dataset(cfg(subset_name="train"))
    assert result_table(found).endswith("1 error, 0 warnings")


def test_command(cfg, tmp_path, capsys):
    config = tmp_path / "config.py"
    config.write_text(f"dataset = dict(train={cfg()!r})\n")
    assert main([str(config)]) == 0
    assert "train:" in capsys.readouterr().out
    (tmp_path / "category_idx.txt").unlink()
    assert main([str(config), "--fast", "--split", "train"]) == 1
    assert main([str(config), "--fast", "--write-class-map"]) == 0
    assert main([str(config), "--cfg-options", "dataset.train.subset_name=nothing"]) == 1
    assert main([str(config), "--split", "tarin"]) == 1
    assert "no split 'tarin'; did you mean 'train'?" in capsys.readouterr().err


def test_command_sees_through_a_wrapper(cfg, tmp_path, capsys):
    config = tmp_path / "config.py"
    wrap = {"type": "PairedDataset", "source": "files", "back_data_path": str(tmp_path)}
    config.write_text(f"dataset = dict(train={cfg()!r}, wrap={wrap!r})\n")
    assert main([str(config), "--fast"]) == 1
    assert f"video 'short' is not in {tmp_path}" in capsys.readouterr().out
