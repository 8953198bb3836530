"""Every command takes a form of annotation alike: all accept it, or all refuse it by file, video and value."""

import json
from functools import partial

import pytest
from places import SHARED

from opentad_bi.cli.main import call
from opentad_bi.datasets.detection.statistics import read_subset
from opentad_bi.evaluation.detection.io import load_ground_truth, segments_by_video
from opentad_bi.prepare.reverse.annotations import reverse_annotation_file
from opentad_bi.registry import DATASETS

check = partial(call, "check")
count = partial(call, "stats")
evaluate = partial(call, "evaluate")
reverse = partial(call, "reverse-annotations")

CASES = SHARED / "cases"
FOUND = {"a": [{"segment": [1, 3], "label": "x", "score": 0.9}, {"segment": [5, 8], "label": "y", "score": 0.8}],
         "b": [{"segment": [2, 4], "label": "x", "score": 0.7}]}  # fmt: skip


def entries(**changes):
    """Two videos of a subset, and one of another; keys of the first are changed."""
    actions = [{"segment": [1, 3], "label": "x"}, {"segment": [5, 8], "label": "y"}]
    plain = {"subset": "validation", "duration": 10.0, "frame": 250, "annotations": actions}
    first = {key: value for key, value in {**plain, **changes}.items() if value is not ...}
    second = {**plain, "annotations": [{"segment": [2, 4], "label": "x"}]}
    return {"a": first, "b": second, "t": {**second, "subset": "training"}}


def config_of(path):
    """A dataset config over the annotation at `path`."""
    return {
        "type": "ThumosPaddingDataset",
        "ann_file": str(path),
        "subset_name": "validation",
        "class_map": ["x", "y", "0", "1"],
        "data_path": "nowhere",
        "pipeline": [],
    }


READERS = {
    "train": lambda path: DATASETS.build(config_of(path)),
    "statistics": lambda path: read_subset(config_of(path)),
    "evaluate": lambda path: load_ground_truth(path, "validation"),
    "timeline": segments_by_video,
    "reverse": lambda path: reverse_annotation_file(path, path.with_suffix(".reversed.json"), overwrite=True),
}


def one(segment=(1, 3), label="x"):
    return [{"segment": list(segment), "label": label}, {"segment": [5, 8], "label": "y"}]


GOOD = [
    {"annotations": None},
    {"annotations": one(segment=("1", "3"))},
    {"annotations": one(label=0)},
    {"annotations": one(label="Ambiguous")},
    {"annotations": one(segment=(3, 3))},
    {"annotations": one(segment=(11, 12))},
    {"duration": "10"},
    {"duration": ..., "duration_second": 10},
    {"frame": ..., "fps": 25},
    {"frame": ..., "duration_frame": 250},
]
BAD = [
    {"annotations": 1},
    {"annotations": one(segment=(9, 6))},
    {"annotations": one(segment=(25, 75))},
    {"annotations": one(segment=("00:01", "00:03"))},
    {"annotations": one(segment=(1, float("nan")))},
    {"annotations": one(label=["x", "y"])},
    {"annotations": one(label=None)},
    {"annotations": [{"segment": [1, 3]}]},
    {"duration": None},
    {"duration": "unknown"},
    {"duration": True},
    {"frame": "many"},
    {"subset": None},
    {"subset": 3},
]


@pytest.mark.parametrize("changes", GOOD, ids=str)
def test_accepted_everywhere(changes, tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"database": entries(**changes)}))
    for read in READERS.values():
        read(path)


@pytest.mark.parametrize("changes", BAD, ids=str)
def test_refused_everywhere_in_the_same_words(changes, tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"database": entries(**changes)}))
    said = set()
    for read in READERS.values():
        with pytest.raises(ValueError) as error:
            read(path)
        said.add(str(error.value))
    assert len(said) == 1 and said.pop().startswith(f"annotation {path}: video 'a': ")


def run_evaluate(folder, found, truth=None, *options):
    """Exit code of the command for a predicted and a true content."""
    (folder / "found.json").write_text(json.dumps({"results": found}))
    (folder / "truth.json").write_text(json.dumps({"database": truth or entries()}))
    files = ["--predictions", folder / "found.json", "--ground-truth", folder / "truth.json"]
    return evaluate([*files, "--subset", "validation", "--tiou", "0.5", *options])


@pytest.mark.parametrize("rename", [lambda v: f"v_{v}", lambda v: f"{v}.mp4", str.upper, lambda v: f"x/v_{v}.avi"])
def test_no_predicted_video_in_the_subset(rename, tmp_path, capsys):
    found = {rename(video): segments for video, segments in FOUND.items()}
    assert run_evaluate(tmp_path, found) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1].split() == ["model", "0.00", "0.00"]
    assert "error: none of the 2 predicted videos is in subset 'validation'" in shown.err
    assert f"{rename('a')!r} is probably 'a'" in shown.err


def test_some_predicted_videos_are_of_another_subset(tmp_path, caplog):
    found = {**FOUND, "t": FOUND["b"], "c": [], "v_b": FOUND["b"]}
    assert run_evaluate(tmp_path, found) == 0
    text = "3 of 5 predicted videos, whose predictions count as false, are not in subset 'validation': "
    assert (
        text + "1 in subset 'training' (t), 2 nowhere in the annotation (c, v_b; 'v_b' is probably 'b')" in caplog.text
    )
    assert run_evaluate(tmp_path, found, None, "--strict") == 1
    assert run_evaluate(tmp_path, FOUND, None, "--strict") == 0


def test_predictions_of_blocked_videos_are_no_matter(tmp_path, caplog):
    (tmp_path / "blocked.txt").write_text("b\n")
    assert run_evaluate(tmp_path, FOUND, None, "--blocked", tmp_path / "blocked.txt", "--strict") == 0
    assert "predicted videos" not in caplog.text


def test_whole_numbers_as_labels(tmp_path, capsys):
    digits = {"x": 0, "y": 1}
    found = {v: [{**s, "label": digits[s["label"]]} for s in segments] for v, segments in FOUND.items()}
    truth = entries()
    for entry in truth.values():
        entry["annotations"] = [{**action, "label": digits[action["label"]]} for action in entry["annotations"]]
    for predicted in (found, json.loads(json.dumps(found).replace('"label": 0', '"label": "0"'))):
        assert run_evaluate(tmp_path, predicted, truth) == 0
        assert capsys.readouterr().out.splitlines()[-1].split() == ["model", "100.00", "100.00"]
    assert sorted(DATASETS.build(config_of(tmp_path / "truth.json")).videos[0].labels) == [2, 3]  # "0", "1"


CASE_ANSWERS = {
    "null_annotations": (0, "model        100.00       100.00"),
    "string_times_gt": (0, "model        100.00       100.00"),
    "int_labels_both": (0, "model        100.00       100.00"),
    "anet_wrapper": (0, "model        100.00       100.00"),
    "label_trailing_space": (0, "labels that subset validation does not have are ignored: 'x '"),
    "pred_of_training_videos_too": (0, "1 of 3 predicted videos, whose predictions count as false, are not in"),
    "reversed_pred_segment": (0, "model         62.50        62.50"),
    "null_duration": (1, "null_duration.gt.json: video 'a': duration None is not a positive number"),
    "text_duration": (1, "text_duration.gt.json: video 'a': duration 'unknown' is not a positive number"),
    "list_label_gt": (1, "list_label_gt.gt.json: video 'a': label ['x', 'y'] of segment [1, 3] is not a name"),
    "reversed_zero_outside_gt": (1, "gt.json: video 'a': segment [9, 6] ends before it starts"),
    "v_prefix_pred": (1, "none of the 2 predicted videos is in subset 'validation'"),
    "mp4_names_pred": (1, "none of the 2 predicted videos is in subset 'validation'"),
    "coco_style": (1, "coco_style.gt.json has no object 'database'"),
    "epic_sls": (1, "video 'a', entry 0: label missing"),
}


@pytest.mark.parametrize("name", CASE_ANSWERS)
def test_cases_by_the_command(name, capsys, caplog):
    folder = CASES / "annotation"
    if not folder.is_dir():
        pytest.skip(f"no cases at {folder}; set OPENTAD_SHARED to the folder above cases/")
    files = ["--predictions", folder / f"{name}.pred.json", "--ground-truth", folder / f"{name}.gt.json"]
    code, said = CASE_ANSWERS[name]
    assert evaluate([*files, "--subset", "validation", "--tiou", "0.5"]) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err + caplog.text and "Traceback" not in shown.err


def fuzzed():
    folder = CASES / "files"
    return sorted([*folder.glob("annotation.*.json"), folder / "values" / "a.json", folder / "values" / "dupa.json"])


def test_damaged_annotation_is_one_error_in_every_command(tmp_path, capsys):
    if not CASES.is_dir():
        pytest.skip(f"no cases at {CASES}; set OPENTAD_SHARED to the folder above cases/")
    (tmp_path / "found.json").write_text(json.dumps(FOUND))
    for path in fuzzed():
        config = tmp_path / "config.py"
        generator = {"strides": [1, 2], "regression_range": [(0, 4), (4, 10000)], "type": "PointGenerator"}
        model = {"rpn_head": {"prior_generator": generator}, "projection": {}}
        split = {
            **config_of(path),
            "subset_name": "training",
            "pipeline": [{"type": "LoadFeats", "feat_format": "npy"}],
        }
        config.write_text(f"model = {model!r}\ndataset = dict(train={split!r})\n")
        commands = {
            "evaluate": lambda: evaluate(
                ["--predictions", tmp_path / "found.json", "--ground-truth", path, "--subset", "x"]  # noqa: B023
            ),
            "reverse": lambda: reverse([path, tmp_path / "back.json"]),  # noqa: B023
            "stats": lambda: count([config]),  # noqa: B023
            "check": lambda: check([config, "--fast"]),  # noqa: B023
        }
        for command in commands.values():
            assert command() == 1
            shown = capsys.readouterr()
            assert "Traceback" not in shown.err
            assert path.name in shown.err or "error" in shown.out


def test_damaged_predictions_are_one_error(capsys):
    if not CASES.is_dir():
        pytest.skip(f"no cases at {CASES}; set OPENTAD_SHARED to the folder above cases/")
    truth = CASES / "annotation" / "null_annotations.gt.json"
    for path, said in (
        (CASES / "files" / "predictions_OverflowError_evaluation.predictions.py_59.gz", "is not two finite numbers"),
        (CASES / "files" / "values" / "dup.json", "has 'v' twice"),
    ):
        assert evaluate(["--predictions", path, "--ground-truth", truth, "--subset", "validation"]) == 1
        error = capsys.readouterr().err
        assert f"error: predictions {path}" in error and said in error
