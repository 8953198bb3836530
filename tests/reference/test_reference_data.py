"""Windows, frame numbers, masks and ground truth are those of the reference, for every case of `data.pt`.

What a case is, is told by its keys: sliding windows have `window_size`, random parts `trunc_len`; samples of frames
have `frame_inds`, those of features `inputs_col_sum`.
"""

import json

import numpy as np
import pytest
import torch
from reference_files import data_cases

from opentad_bi.registry import DATASETS, TRANSFORMS


@pytest.fixture(scope="module")
def data(load_reference):
    return load_reference("data.pt")


@pytest.fixture(scope="module")
def database(reference):
    return json.loads((reference / "data_annotation.json").read_text())["database"]


@pytest.fixture(scope="module")
def feature_folder(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    with np.load(reference / "data_features.npz") as archive:
        for name in archive.files:
            np.save(folder / f"{name}.npy", archive[name])
    return folder


@pytest.fixture(scope="module")
def make(reference, data, database):
    """Build the dataset of a case, its arguments all taken from the case."""

    def dataset(case, data_path="nowhere", pipeline=()):
        metas = [sample["metas"] for sample in case["samples"]]
        stride, feature_stride = metas[0]["snippet_stride"], data["args"]["feature_stride"]
        blocked = reference / "data_missing_files.txt"
        options = {key: case[key] for key in ("test_mode", "filter_gt", "fps") if key in case}
        if "window_size" in case:
            options |= {"window_size": case["window_size"], "window_overlap_ratio": case["overlap"]}
            options |= {"reference_windows": True}
            options |= {key: case[key] for key in ("ioa_thresh",) if key in case}
        return DATASETS.build(
            {
                "type": "ThumosSlidingDataset" if "window_size" in case else "ThumosPaddingDataset",
                "ann_file": reference / "data_annotation.json",
                "subset_name": sorted({database[meta["video_name"]]["subset"] for meta in metas}),
                "class_map": reference / "data_category_idx.txt",
                "block_list": blocked if blocked.is_file() else data["args"].get("block_list"),
                "data_path": data_path,
                "feature_stride": feature_stride,
                "sample_stride": stride // feature_stride,
                "offset_frames": metas[0].get("offset_frames", 0),
                "pipeline": list(pipeline),
                **options,
            }
        )

    return dataset


def cutting_step(case, sliding, random):
    """Options of the step that cuts a sample out, by the names of its two kinds; None if whole videos are taken."""
    if "window_size" in case:
        return sliding
    if case.get("trunc_len") is None:
        return None
    names = ("trunc_len", "trunc_thresh", "crop_ratio", "max_num_trials")
    return {**random, **{key: case[key] for key in names if key in case}}


def same_ground_truth(found, expected):
    if "gt_segments" not in expected:
        assert "gt_segments" not in found
        return
    torch.testing.assert_close(
        torch.as_tensor(found["gt_segments"]), expected["gt_segments"].float(), rtol=1e-6, atol=1e-6
    )
    assert torch.as_tensor(found["gt_labels"]).tolist() == expected["gt_labels"].tolist()


def seeds_and_indices(dataset, case):
    """(index, seed) of every expected sample; windows come in order, videos are found by name."""
    seeds = [sample.get("python_random_seed", 0) for sample in case["samples"]]
    if "window_size" in case:
        assert len(dataset) == len(case["samples"])
        return list(enumerate(seeds))
    names = [video.name for video in dataset.videos]
    return [(names.index(s["metas"]["video_name"]), seed) for s, seed in zip(case["samples"], seeds, strict=True)]


@pytest.mark.parametrize("name", data_cases("frame_inds"))
def test_frames(data, make, name):
    case = data["cases"][name]
    dataset = make(case)
    scale = len(case["samples"][0]["frame_inds"]) // len(case["samples"][0]["masks"])
    step = cutting_step(case, {"method": "sliding_window"}, {"method": "random_trunc"})
    choose = TRANSFORMS.build({"type": "LoadFrames", "scale_factor": scale, **step})
    for key, expected in zip(seeds_and_indices(dataset, case), case["samples"], strict=True):
        results = dataset[key]
        results["total_frames"] = data["args"]["decoder_total_frames"][results["video"]]
        results = choose(results)
        meta = expected["metas"]
        assert results["video"] == meta["video_name"]
        assert results["fps"] == meta["fps"]
        assert results["duration_sec"] == meta["duration"]
        assert results["window_start_frame"] == meta.get("window_start_frame", 0)
        assert results["frame_inds"].tolist() == expected["frame_inds"].tolist()
        assert results["masks"].tolist() == expected["masks"].tolist()
        same_ground_truth(results, expected)


@pytest.mark.parametrize("name", data_cases("inputs_col_sum"))
def test_features(data, make, feature_folder, name):
    case = data["cases"][name]
    cut = cutting_step(case, {"type": "SlidingWindowTrunc"}, {"type": "RandomTrunc"})
    steps = [{"type": "LoadFeats", "feat_format": "npy"}, cut, {"type": "Collect", "inputs": "feats"}]
    dataset = make(case, feature_folder, filter(None, steps))
    for key, expected in zip(seeds_and_indices(dataset, case), case["samples"], strict=True):
        sample = dataset[key]
        meta = expected["metas"]
        assert sample["meta"].video == meta["video_name"]
        assert sample["meta"].window_start_frame == meta.get("window_start_frame", 0)
        assert sample["meta"].offset_frames == meta.get("offset_frames", 0)
        assert sample["meta"].snippet_stride == meta["snippet_stride"]
        torch.testing.assert_close(sample["inputs"].sum(dim=0), expected["inputs_col_sum"], rtol=1e-5, atol=1e-5)
        assert sample["masks"].tolist() == expected["masks"].tolist()
        same_ground_truth(sample, expected)


@pytest.mark.parametrize("name", data_cases("data_list"))
def test_windows_and_their_ground_truth_in_frames(data, make, name):
    case = data["cases"][name]
    dataset = make(case)
    stride = dataset.snippet_stride
    assert len(dataset) == len(case["data_list"])
    for i, expected in enumerate(case["data_list"]):
        results = dataset[i]
        assert results["video"] == expected["video"]
        assert results["feature_start_idx"] * stride == expected["first_center"]
        assert results["feature_end_idx"] * stride == expected["last_center"]
        assert results["feature_end_idx"] - results["feature_start_idx"] + 1 == expected["n"]
        if expected["window_gt_frames"] is None:
            assert "gt_segments" not in results
            continue
        frames = results["gt_segments"] * stride + (results["window_start_frame"] + dataset.offset_frames)
        np.testing.assert_allclose(frames, expected["window_gt_frames"], rtol=1e-6)
        assert results["gt_labels"].tolist() == expected["gt_labels"]


@pytest.mark.parametrize("name", data_cases("full_gt"))
def test_full_ground_truth_in_frames(data, make, name):
    expected = data["cases"][name]["full_gt"]
    found = {video.name: video for video in make(data["cases"][name]).videos}
    assert list(found) == list(expected)
    for video, truth in expected.items():
        assert found[video].segments.tolist() == truth["frames"]
        assert found[video].labels.tolist() == truth["labels"]
