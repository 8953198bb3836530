"""Windows, frame numbers, masks and ground truth are those of the reference, for every case of `data.pt`."""

import numpy as np
import pytest
import torch

from opentad_bi.registry import DATASETS, TRANSFORMS


@pytest.fixture(scope="module")
def data(load_reference):
    return load_reference("data.pt")


@pytest.fixture(scope="module")
def feature_folder(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    with np.load(reference / "data_features.npz") as archive:
        for name in archive.files:
            np.save(folder / f"{name}.npy", archive[name])
    return folder


CASES = (
    "sliding_val_sf1",
    "sliding_test_sf1",
    "padding_random_trunc_sf1",
    "sliding_val_sf2",
    "sliding_test_sf2",
    "padding_random_trunc_sf2",
    "feat_padding_random_trunc",
    "feat_sliding_val",
    "feat_sliding_test",
)


def dataset_for(reference, data, case, data_path, pipeline):
    """The dataset of a case, its arguments all taken from the case."""
    meta = case["samples"][0]["metas"]
    sliding = "window_size" in case
    extra = {}
    if sliding:
        extra = {
            "window_size": case["window_size"],
            "window_overlap_ratio": case["overlap"],
            "reference_windows": True,
        }
    return DATASETS.build(
        {
            "type": "ThumosSlidingDataset" if sliding else "ThumosPaddingDataset",
            "ann_file": reference / "data_annotation.json",
            "subset_name": "validation" if sliding else "training",
            "class_map": reference / "data_category_idx.txt",
            "block_list": reference / "data_missing_files.txt",
            "data_path": data_path,
            "feature_stride": data["args"]["feature_stride"],
            "sample_stride": meta["snippet_stride"] // data["args"]["feature_stride"],
            "offset_frames": meta["offset_frames"],
            "test_mode": case.get("test_mode", False),
            "pipeline": pipeline,
            **extra,
        }
    )


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
    if "window_size" in case:
        assert len(dataset) == len(case["samples"])
        return [(i, 0) for i in range(len(dataset))]
    names = [video.name for video in dataset.videos]
    return [(names.index(sample["metas"]["video_name"]), sample["python_random_seed"]) for sample in case["samples"]]


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("feat")])
def test_frames(reference, data, name):
    case = data["cases"][name]
    dataset = dataset_for(reference, data, case, "nowhere", [])
    scale = len(case["samples"][0]["frame_inds"]) // len(case["samples"][0]["masks"])
    if "window_size" in case:
        step = {"method": "sliding_window"}
    else:
        step = {key: case[key] for key in ("trunc_len", "trunc_thresh", "crop_ratio") if key in case}
        step["method"] = "random_trunc"
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


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("feat")])
def test_features(reference, data, feature_folder, name):
    case = data["cases"][name]
    if "window_size" in case:
        step = {"type": "SlidingWindowTrunc"}
    else:
        step = {key: case[key] for key in ("trunc_len", "trunc_thresh", "crop_ratio") if key in case}
        step["type"] = "RandomTrunc"
    pipeline = [
        {"type": "LoadFeats", "feat_format": "npy"},
        step,
        {"type": "Collect", "inputs": "feats"},
    ]
    dataset = dataset_for(reference, data, case, feature_folder, pipeline)
    for key, expected in zip(seeds_and_indices(dataset, case), case["samples"], strict=True):
        sample = dataset[key]
        meta = expected["metas"]
        assert sample["meta"].video == meta["video_name"]
        assert sample["meta"].window_start_frame == meta.get("window_start_frame", 0)
        assert sample["meta"].offset_frames == meta["offset_frames"]
        assert sample["meta"].snippet_stride == meta["snippet_stride"]
        torch.testing.assert_close(sample["inputs"].sum(dim=0), expected["inputs_col_sum"], rtol=1e-5, atol=1e-5)
        assert sample["masks"].tolist() == expected["masks"].tolist()
        same_ground_truth(sample, expected)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("sliding_val")])
def test_window_ground_truth_in_frames(reference, data, name):
    case = data["cases"][name]
    dataset = dataset_for(reference, data, case, "nowhere", [])
    stride = dataset.snippet_stride
    for i, expected in enumerate(case["data_list"]):
        results = dataset[i]
        assert results["feature_start_idx"] * stride == expected["first_center"]
        assert results["feature_end_idx"] * stride == expected["last_center"]
        assert results["feature_end_idx"] - results["feature_start_idx"] + 1 == expected["n"]
        frames = results["gt_segments"] * stride + (results["window_start_frame"] + dataset.offset_frames)
        np.testing.assert_allclose(frames, expected["window_gt_frames"], rtol=1e-6)


def test_full_ground_truth_in_frames(reference, data):
    for case in data["cases"].values():
        if "full_gt" in case:
            dataset = dataset_for(reference, data, case, "nowhere", [])
            found = {video.name: video for video in dataset.videos}
            assert list(found) == list(case["full_gt"])
            for name, expected in case["full_gt"].items():
                assert found[name].segments.tolist() == expected["frames"]
                assert found[name].labels.tolist() == expected["labels"]
