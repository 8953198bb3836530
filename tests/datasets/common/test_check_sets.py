"""Every type of dataset has a check; what has none is not checked, and the command does not call it sound."""

import inspect
import logging
import re
from functools import partial

import numpy as np
import pytest
import torch
from clip_files import toy_list
from dataset_files import draw, encode, frame_pipeline
from unit_files import write_classes

from opentad_bi.cli.main import call
from opentad_bi.contracts import Dataset
from opentad_bi.datasets.detection.cached_predictions import write_cached, write_record
from opentad_bi.datasets.detection.check import check_dataset
from opentad_bi.datasets.detection.statistics import out_of_reach
from opentad_bi.datasets.detection.thumos import AnnotationDataset
from opentad_bi.datasets.video_prompts.lists import ListedVideo, VideoList
from opentad_bi.ops.records import SampleMeta
from opentad_bi.registry import DATASETS
from opentad_bi.utils.checks import result_table
from opentad_bi.utils.logging import strictly

main = partial(call, "check")

CLASSES = {"Abuse": {"a0": 7, "a1": 3}, "Normal": {"n0": 5}}
LOAD = [
    {"type": "LoadClips", "frames": 4, "size": 32},
    {"type": "SpatialViews", "size": 32},
    {"type": "CollectClip"},
]


def problems(cfg, full=True, level="error"):
    return [finding.found for finding in check_dataset(cfg, full=full) if finding.level == level]


def test_every_dataset_of_the_package_has_a_check():
    DATASETS.import_from_location()
    for name, kind in DATASETS.module_dict.items():
        if kind.__module__.startswith("opentad_bi.") and "dataset" not in inspect.signature(kind).parameters:
            assert issubclass(kind, AnnotationDataset) or kind.verdicts.__func__ is not Dataset.verdicts.__func__, name


def test_what_has_no_check_is_not_called_sound(tmp_path, capsys):
    @DATASETS.register_module(force=True)
    class Unknown:
        pass

    found = check_dataset({"type": "Unknown"})
    assert [finding.level for finding in found] == ["not checked"] and "Unknown" in found[0].found
    assert result_table(found).endswith("0 errors, 0 warnings, 1 not checked")
    (tmp_path / "c.py").write_text('dataset = dict(train=dict(type="Unknown"))\n')
    assert main([str(tmp_path / "c.py")]) == 1
    assert "not checked" in capsys.readouterr().out


def test_a_pipeline_that_loads_in_another_way_is_not_checked(make, videos):
    pipeline = [step for step in frame_pipeline() if step["type"] != "LoadFrames"]
    found = problems(make(pipeline=pipeline, data_path=str(videos / "for")), full=False, level="not checked")
    assert found == ["no step of the pipeline is known to load them"]


def test_units_of_features(tmp_path):
    write_classes(tmp_path / "f", CLASSES)
    cfg = {"type": "VideoFeatureDataset", "feature_dir": str(tmp_path / "f")}
    assert check_dataset(cfg) == check_dataset(cfg, full=False) == []
    table = np.ones((7, 4), np.float32)
    table[2, 1] = 1e30
    np.save(tmp_path / "f" / "Abuse" / "a0.npy", table)
    assert check_dataset(cfg, full=False) == []
    (line,) = problems(cfg, level="warning")
    assert "1 files hold numbers that float16 cannot" in line and "a0.npy holds numbers as large as 1e+30" in line
    table[5, 0] = np.nan
    np.save(tmp_path / "f" / "Abuse" / "a0.npy", table)
    assert "a0.npy hold 1 NaN or infinite number, first in row 5 (of 7, from 0)" in problems(cfg)[0]
    np.save(tmp_path / "f" / "Abuse" / "a0.npy", table.astype(complex))
    for full in (False, True):
        assert "a0.npy: a table (rows, width)" in problems(cfg, full=full)[0]
    (line,) = problems({**cfg, "feature_dir": str(tmp_path / "gone")}, full=False)
    assert "gone does not exist" in line


def test_crops_and_empty_classes_of_units(tmp_path):
    write_classes(tmp_path, {"Abuse": {"a__0": 40, "a__1": 20}, "Normal": {"n__0": 5, "n__1": 6}})
    cfg = {"type": "VideoFeatureDataset", "feature_dir": str(tmp_path), "crop_separator": "__"}
    (line,) = problems(cfg, full=False, level="warning")
    assert "1 videos have crops of different lengths: a has files of 20 to 40 rows" in line
    (line,) = problems({**cfg, "snippet_duration": 7, "crop_separator": None}, full=False, level="warning")
    assert "1 have no sample: Normal" in line
    assert problems({**cfg, "snippet_duration": 7, "crop_separator": None, "test_mode": True}, level="warning") == []


@pytest.fixture
def clips(tmp_path):
    """Config of three clips."""
    listed = []
    for label, name in enumerate(("Run", "Jump")):
        (tmp_path / name).mkdir()
        encode(tmp_path / name / "a.mp4", [draw(i) for i in range(12)], lossless=False)
        listed.append(ListedVideo((tmp_path / name / "a.mp4").relative_to(tmp_path).with_stem(f"{name}"), label))
        (tmp_path / name / "a.mp4").rename(tmp_path / name / f"{name}.mp4")
    videos = VideoList(("Run", "Jump"), tuple(listed))
    return {"type": "VideoFolder", "videos": videos, "root": str(tmp_path), "pipeline": LOAD}


def test_clips(clips, tmp_path):
    assert check_dataset(clips) == check_dataset(clips, full=False) == []
    content = (tmp_path / "Run" / "Run.mp4").read_bytes()
    (tmp_path / "Run" / "Run.mp4").write_bytes(content[: len(content) // 2])
    for full, word in ((False, "opened"), (True, "decoded")):
        (line,) = problems(clips, full=full)
        assert f"1 of 2 cannot be {word}" in line and "Run.mp4 is cut short" in line
    middle = len(content) // 3
    (tmp_path / "Run" / "Run.mp4").write_bytes(content[:middle] + bytes(middle) + content[2 * middle :])
    assert "Run.mp4" in problems(clips)[0]
    (tmp_path / "Run" / "Run.mp4").unlink()
    assert "Run" in problems(clips, full=False)[0]


def test_clips_that_are_shorter_than_they_say(clips, tmp_path, monkeypatch):
    from opentad_bi.datasets.video_prompts import check

    header = check.read_header(tmp_path / "Run" / "Run.mp4")
    monkeypatch.setattr(check, "read_header", lambda path: type(header)(25.0, (251,), (10.0,)))
    (line,) = problems(clips, level="warning")
    assert "2 are shorter than they say" in line and "Run.mp4 has 12 of 251 frames" in line


def test_cached_predictions(tmp_path):
    maps = {side: torch.zeros(2, 4, 8) for side in ("for", "back")}
    meta = [SampleMeta(name, 1.0, 8.0, 1, valid_length=8) for name in "ab"]
    truth = {"gt_segments": [torch.tensor([[0.0, 3.0]])] * 2, "gt_labels": [torch.tensor([1])] * 2}
    write_cached(tmp_path, 0, 0, {"masks": torch.ones(2, 8, dtype=torch.bool), "meta": meta, **truth}, maps)
    write_record(tmp_path, windows=2, classes=["x", "y"])
    cfg = {"type": "CachedPredictions", "folder": str(tmp_path)}
    assert check_dataset(cfg) == check_dataset(cfg, full=False) == []
    assert check_dataset({"type": "PairedDataset", "dataset": cfg}) == []
    (tmp_path / "epoch000_000001.pt").write_bytes(b"damaged")
    assert "1 of 2 are damaged: " in problems(cfg, full=False)[0]
    (tmp_path / "epoch000_000001.pt").unlink()
    assert "holds 1 cached predictions, but 2 were to be written" in problems(cfg, full=False)[0]


def test_streams_are_decoded_in_the_full_check(tmp_path):
    (tmp_path / "v").mkdir()
    encode(tmp_path / "v" / "Abuse001.mp4", [draw(i) for i in range(60)], lossless=False)
    about = {"stride": 4, "chunk": 3, "size": 16, "classes": ["Normal", "Abuse"]}
    cfg = {"type": "FrameStreamDataset", "videos": str(tmp_path / "v"), **about}
    assert check_dataset(cfg) == []
    content = (tmp_path / "v" / "Abuse001.mp4").read_bytes()
    third = len(content) // 3
    (tmp_path / "v" / "Abuse001.mp4").write_bytes(content[:third] + bytes(third) + content[2 * third :])
    assert "runs of frames cannot be decoded" in problems(cfg)[0]


def test_huge_features_of_annotated_videos(make, features, tmp_path):
    for name in ("long", "short"):
        feats = np.load(features / "for" / f"{name}.npy")
        feats[1, 1] = 1e30
        np.save(tmp_path / f"{name}.npy", feats)
    pipeline = [{"type": "LoadFeats", "feat_format": "npy"}, {"type": "Collect", "inputs": "feats"}]
    lines = problems(make(data_path=str(tmp_path), pipeline=pipeline), level="warning")
    assert sum("hold numbers as large as 1e+30, beyond float16" in line for line in lines) == 2


POINTS = {"type": "PointGenerator", "strides": [1, 2, 4], "regression_range": [(0, 4), (4, 8), (8, 10000)]}
MODEL = {"type": "ActionFormer", "rpn_head": {"prior_generator": POINTS}}


@pytest.mark.parametrize(
    ("window", "stride", "ranges", "said"),
    [
        (64, 4, POINTS["regression_range"], ""),
        (2, 4, POINTS["regression_range"], "lie in no window of 2 positions"),
        (64, 4, [(400, 800)] * 3, "100% of 5 actions .* 0.0% lie in no window of 64 positions, 100.0% in one without"),
        (64, 400, POINTS["regression_range"], "actions last 0.0"),
    ],
)
def test_actions_out_of_reach(make, window, stride, ranges, said):
    pipeline = [{"type": "LoadFeats", "feat_format": "npy"}, {"type": "RandomTrunc", "trunc_len": window}]
    train = make(pipeline=pipeline, feature_stride=stride)
    model = {"type": "ActionFormer", "rpn_head": {"prior_generator": {**POINTS, "regression_range": ranges}}}
    found = out_of_reach({"train": train}, {"type": "BiDirectional", "for_model": model})
    assert bool(found) == bool(said) and re.search(said, found)
    assert out_of_reach({"train": train}, {"type": "Other", "text": {}}) == ""
    assert out_of_reach({"train": {"type": "CachedPredictions", "folder": "x"}}, model) == ""
    whole = [step for step in train["pipeline"] if "trunc_len" not in step]
    assert out_of_reach({"train": {**train, "pipeline": whole}}, model) == ""


def test_strict_builds_are_errors(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    write_classes(tmp_path, {"Abuse": {"a__0": 40, "a__1": 20}})
    (tmp_path / "c.py").write_text(
        f'dataset = dict(train=dict(type="VideoFeatureDataset", feature_dir={str(tmp_path)!r}, crop_separator="__"))\n'
    )
    assert main([str(tmp_path / "c.py")]) == 0
    assert main([str(tmp_path / "c.py"), "--strict"]) == 1
    with strictly(False):
        assert toy_list()
