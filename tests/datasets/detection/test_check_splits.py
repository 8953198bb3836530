"""Sets to learn from and to test on that have videos in common, for every family that can say."""

import json

import numpy as np
import pytest

from opentad_bi.datasets.detection.check import check_splits


def features(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.npy", np.ones((4, 8), np.float32))
    return {"type": "VideoFeatureDataset", "feature_dir": str(folder)}


def test_features_of_one_video_in_both_sets(tmp_path):
    train = features(tmp_path / "train", ["normal/a", "normal/b", "fight/c"])
    test = features(tmp_path / "test", ["normal/B", "normal/d", "fight/e"]) | {"test_mode": True}
    (found,) = check_splits({"train": train, "test": test})
    assert (
        found.level == "error"
        and (found.name, found.hint[:4]) == ("dataset.test", "give")
        and found.found.startswith("1 of 3 videos are among those to learn")
    )
    assert "normal/B" in found.found and "allow_overlap=True" in found.hint
    assert not check_splits({"train": train, "test": {**test, "allow_overlap": True}})
    assert not check_splits({"train": {**train, "allow_overlap": True}, "test": test})
    other = features(tmp_path / "other", ["normal/f", "fight/b"])  # as numbered in every class
    assert not check_splits({"train": train, "test": other}) and not check_splits({"train": train})


@pytest.mark.parametrize(
    ("subset", "file", "count"), [("training", "a", 1), ("validation", "a", 0), ("training", "b", 0)]
)
def test_a_subset_that_is_learned_from_and_tested(tmp_path, subset, file, count):
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(json.dumps({"database": {}}))
    train = {"type": "ThumosPaddingDataset", "ann_file": str(tmp_path / "a.json"), "subset_name": "training"}
    test = {**train, "type": "ThumosSlidingDataset", "ann_file": str(tmp_path / f"{file}.json"), "subset_name": subset}
    for wrap in ({}, {"wrap": {"type": "PairedDataset"}}):
        found = check_splits({"train": train, "test": test, **wrap})
        assert [finding.level for finding in found] == ["warning"] * count
        assert all(finding.found.startswith("the subset 'training' of") for finding in found)
