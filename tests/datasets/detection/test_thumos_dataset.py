"""Samples of the THUMOS datasets are whole, and functions of (index, seed) alone."""

import random

import numpy as np
import pytest
import torch
from dataset_files import feature_pipeline, frame_pipeline
from torch.utils.data import DataLoader

from opentad_bi.datasets.detection.paired import collate
from opentad_bi.registry import DATASETS


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in ("inputs", "masks", "gt_segments", "gt_labels"))


@pytest.fixture
def frames(make, videos):
    return DATASETS.build(make(data_path=str(videos / "for"), pipeline=frame_pipeline()))


def sliding(make, videos, **arguments):
    pipeline = [
        {"type": "LoadFrames", "method": "sliding_window"},
        {"type": "DecodeFrames"},
        {"type": "Resize", "scale": (-1, 32)},
        {"type": "CenterCrop", "crop_size": 32},
        {"type": "Collect", "inputs": "imgs"},
    ]
    kind = "ThumosSlidingDataset"
    return DATASETS.build(make(kind, data_path=str(videos / "for"), window_size=16, pipeline=pipeline, **arguments))


def test_training_sample(frames):
    sample = frames[0, 5]
    assert sample["inputs"].shape == (3, 16, 32, 32)
    assert sample["inputs"].dtype == torch.uint8
    assert sample["inputs"].is_contiguous()
    assert sample["masks"].dtype == torch.bool
    assert sample["gt_segments"].dtype == torch.float32
    assert sample["gt_labels"].dtype == torch.int64
    assert len(sample["gt_labels"]) > 0
    assert sample["meta"].video == "long"
    assert sample["meta"].snippet_stride == 4
    assert sample["meta"].valid_length == int(sample["masks"].sum())
    assert not sample["meta"].sliding


def test_short_video_is_padded_by_its_last_frame(make, videos):
    pipeline = frame_pipeline()[:2] + frame_pipeline()[-1:]
    sample = DATASETS.build(make(data_path=str(videos / "for"), pipeline=pipeline))[1]
    valid = sample["meta"].valid_length
    assert valid == 13
    assert sample["masks"].tolist() == [True] * 13 + [False] * 3
    assert (sample["inputs"][:, valid:] == sample["inputs"][:, valid - 1 : valid]).all()


def test_sample_depends_on_index_and_seed_alone(frames):
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    first = frames[0, 7]
    states = random.getstate(), torch.get_rng_state()
    assert same(first, frames[0, 7])
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert any(not same(first, frames[0, seed]) for seed in range(8, 12))


def test_loader_workers_give_the_same_samples(frames):
    keys = [(0, 1), (1, 2), (0, 3), (1, 4)]
    direct = collate([frames[key] for key in keys])
    loader = DataLoader(frames, batch_sampler=[keys[:2], keys[2:]], collate_fn=frames.collate, num_workers=2)
    batches = list(loader)
    assert torch.equal(torch.cat([batch["inputs"] for batch in batches]), direct["inputs"])
    assert [meta.video for batch in batches for meta in batch["meta"]] == ["long", "short", "long", "short"]


def test_scale_factor_takes_more_frames_per_position(make, videos):
    pipeline = frame_pipeline(scale_factor=2)
    sample = DATASETS.build(make(data_path=str(videos / "for"), pipeline=pipeline))[0, 1]
    assert sample["inputs"].shape == (3, 32, 32, 32)
    assert sample["masks"].shape == (16,)
    with pytest.raises(ValueError, match="scale_factor 3 does not divide 4"):
        DATASETS.build(make(data_path=str(videos / "for"), pipeline=frame_pipeline(scale_factor=3)))[0]


def test_test_windows(make, videos):
    dataset = sliding(make, videos, subset_name="validation", test_mode=True, window_overlap_ratio=0.5)
    samples = list(dataset)
    assert [sample["meta"].window_start_frame for sample in samples] == [0, 32, 64, 68]
    assert all(sample["meta"].sliding for sample in samples)
    assert all("gt_segments" not in sample for sample in samples)
    assert all(sample["inputs"].shape == (3, 16, 32, 32) for sample in samples)


def test_windows_with_ground_truth(make, videos):
    dataset = sliding(make, videos, window_overlap_ratio=0.25)
    for sample in dataset:
        assert len(sample["gt_labels"]) > 0
        assert sample["gt_segments"].min() >= 0
        assert sample["gt_segments"].max() <= 15
    with pytest.raises(ValueError, match="no window of 16 positions"):
        sliding(make, videos, ioa_thresh=1.0)


def test_window_beyond_the_file(make, videos, database):
    database["short"]["frame"] = 400
    database["short"]["duration"] = 16.0
    dataset = sliding(make, videos, test_mode=True)
    with pytest.raises(ValueError, match=r"'short' has 50 frames, none of them in the window"):
        dataset[len(dataset) - 1]


def test_features(make, features):
    dataset = DATASETS.build(make(data_path=str(features / "for"), pipeline=feature_pipeline()))
    batch = dataset.collate([dataset[0, 1], dataset[1, 2]])
    assert batch["inputs"].shape == (2, 6, 32)
    assert batch["inputs"].dtype == torch.float32
    assert (batch["inputs"][1, :, ~batch["masks"][1]] == 0).all()
    assert isinstance(batch["gt_segments"], list)


def test_whole_feature_files_of_different_length_are_padded(make, features):
    pipeline = [feature_pipeline()[0], feature_pipeline()[-1]]
    dataset = DATASETS.build(make(data_path=str(features / "for"), pipeline=pipeline, test_mode=True))
    batch = dataset.collate([dataset[0], dataset[1]])
    assert batch["inputs"].shape == (2, 6, 58)
    assert batch["masks"].sum(dim=1).tolist() == [58, 13]


def test_index_out_of_range(frames):
    assert frames[-1, 3]["meta"].video == "short"
    with pytest.raises(IndexError):
        frames[2]


def test_misspelt_argument(make):
    with pytest.raises(ValueError, match="did you mean 'feature_stride'"):
        DATASETS.build(make(feature_strid=4))


def test_missing_video(make, videos):
    dataset = DATASETS.build(make(data_path=str(videos), pipeline=frame_pipeline()))
    with pytest.raises(FileNotFoundError, match="video 'long' is not in"):
        dataset[0]


def test_collect_keys_must_be_there(make, videos):
    pipeline = [*frame_pipeline()[:2], {"type": "Collect", "keys": ["gt_segments"]}]
    pipeline[0] = {"type": "LoadFrames", "method": "sliding_window"}
    cfg = make("ThumosSlidingDataset", data_path=str(videos / "for"), pipeline=pipeline, test_mode=True, window_size=8)
    with pytest.raises(KeyError, match="has no 'gt_segments'"):
        DATASETS.build(cfg)[0]
