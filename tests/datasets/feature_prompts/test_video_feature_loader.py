"""Feature samples through loaders and processes: same numbers, few open files, a small index."""

import copy
import os
import pickle
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from unit_files import write_classes

from opentad_bi.datasets.feature_prompts import dataset as dataset_module
from opentad_bi.datasets.feature_prompts import rows
from opentad_bi.datasets.feature_prompts.dataset import VideoFeatureDataset
from opentad_bi.engine.data import eval_loader, to_device, train_loader
from opentad_bi.ops.records import UnitMeta, UnitMetas

CLASSES = {name: {f"{name}{video}": 5 + video for video in range(4)} for name in ("abuse", "arson", "normal")}


@pytest.fixture
def folder(tmp_path):
    write_classes(tmp_path, CLASSES)
    return tmp_path


def numbers_of(batches):
    return [(b["inputs"].tolist(), b["labels"].tolist(), list(b["meta"]), b["weights"].tolist()) for b in batches]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("pooling", [False, True])
@pytest.mark.parametrize("by_value", [0, 1 << 20])
def test_workers_give_the_batches_of_the_process_itself(tmp_path, dtype, pooling, by_value, monkeypatch):
    monkeypatch.setattr(dataset_module, "_BY_VALUE", by_value)
    write_classes(tmp_path, CLASSES)
    for path in tmp_path.rglob("*.npy"):
        np.save(path, (np.load(path) / 3 + 0.1).astype(dtype))  # float32 is not to be rounded on the way
    dataset = VideoFeatureDataset(tmp_path, class_weights="balanced", use_video_level_pooling=pooling)
    options = {"batch_size": 4, "accumulate": 1, "seed": 3}
    own = numbers_of(train_loader(dataset, num_workers=0, **options))
    assert len(own) == len(dataset) // 4
    assert numbers_of(train_loader(dataset, num_workers=2, **options)) == own
    loader, indices = eval_loader(dataset, batch_size=5, num_workers=1)
    labels = [label for batch in loader for label in batch["labels"].tolist()]
    assert labels == dataset.labels[indices].tolist()


def test_a_spawned_worker_maps_the_files_itself(folder):
    dataset = VideoFeatureDataset(folder, class_weights="balanced")
    loader = DataLoader(
        dataset, batch_size=20, num_workers=1, multiprocessing_context="spawn", collate_fn=dataset.collate
    )
    assert numbers_of(loader) == numbers_of([dataset.__getitems__(list(range(i, min(i + 20, len(dataset)))))
                                             for i in range(0, len(dataset), 20)])  # fmt: skip


def test_a_pickled_dataset_has_no_maps_and_gives_the_same(folder):
    dataset = VideoFeatureDataset(folder)
    before = len(pickle.dumps(dataset))
    batch = dataset.__getitems__([0, 30, 50])
    data = pickle.dumps(dataset)
    assert len(data) == before
    assert torch.equal(pickle.loads(data).__getitems__([0, 30, 50])["inputs"], batch["inputs"])


def test_every_file_is_opened_once(folder, monkeypatch):
    opened = []
    real = rows.map_file
    monkeypatch.setattr(rows, "map_file", lambda file: opened.append(file.path) or real(file))
    dataset = VideoFeatureDataset(folder)
    assert not opened
    for _ in range(2):
        for batch in train_loader(dataset, batch_size=4, num_workers=0, accumulate=1, seed=0):
            assert len(batch["labels"]) == 4
    assert len(opened) == len(set(opened)) == 12


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts descriptors in /proc")
def test_open_files_do_not_cost_descriptors_nor_writable_rows(tmp_path):
    write_classes(tmp_path, {"a": {f"v{i}": 1 for i in range(300)}})
    for path in (tmp_path / "a").iterdir():
        path.chmod(0o444)
    before = len(os.listdir("/proc/self/fd"))
    dataset = VideoFeatureDataset(tmp_path)
    dataset.__getitems__(list(range(300)))
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    with pytest.raises(ValueError, match="read-only"):
        dataset._tables[0][0] = 1


def test_changing_a_batch_leaves_the_files_and_other_batches_alone(folder):
    for pooling in (False, True):
        dataset = VideoFeatureDataset(folder, use_video_level_pooling=pooling)
        first = dataset.__getitems__([0, 1])
        kept = first["inputs"].clone()
        first["inputs"].zero_()
        assert torch.equal(dataset.__getitems__([0, 1])["inputs"], kept) and dataset[0][0].any()


def test_the_index_takes_at_most_16_bytes_a_sample(tmp_path):
    write_classes(tmp_path, {"a": {f"v{i}": 1000 for i in range(3)}}, width=1)
    dataset = VideoFeatureDataset(tmp_path)
    assert len(dataset) == 3000 and dataset.index_bytes <= 16 * len(dataset)
    per_sample = [v for v in vars(dataset).values() if hasattr(v, "__len__") and len(v) == len(dataset)]
    assert sum(array.nbytes for array in per_sample) == dataset.index_bytes


def test_a_batch_survives_copies_and_the_way_to_a_device(folder):
    dataset = VideoFeatureDataset(folder, class_weights="balanced")
    batch = dataset.__getitems__([3, 1, 2])
    for other in (copy.copy(batch), pickle.loads(pickle.dumps(batch)), to_device(batch, torch.device("cpu"))):
        assert numbers_of([other]) == numbers_of([batch])
    other = pickle.loads(pickle.dumps(batch))
    other["inputs"] += 1 / 3  # may be written to, and what is sent is what it holds then
    assert not torch.equal(other["inputs"], batch["inputs"])
    assert numbers_of([pickle.loads(pickle.dumps(other))]) == numbers_of([other])


def test_metas_are_a_sequence():
    metas = UnitMetas(["a", "b", "a"], [0, 3, 6], [1, 2, 3])
    assert len(metas) == 3 and metas[1] == UnitMeta("b", 3, 2) and metas[-1].start == 6
    assert list(metas[1:]) == [metas[1], metas[2]] and list(pickle.loads(pickle.dumps(metas))) == list(metas)
    with pytest.raises(IndexError):
        metas[3]
