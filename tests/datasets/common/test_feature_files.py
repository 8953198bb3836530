"""Feature files of every kind, and none that runs code."""

import pickle
import random
from collections import OrderedDict

import numpy as np
import pytest
import torch

from opentad_bi.datasets.common.feature_files import read_features
from opentad_bi.datasets.detection.pipeline import random_truncation
from opentad_bi.registry import TRANSFORMS


@pytest.fixture
def feats():
    return np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


class Bomb:
    def __reduce__(self):
        return (print, ("code was run",))


def test_formats(tmp_path, feats):
    np.save(tmp_path / "v.npy", feats)
    np.savez(tmp_path / "v.npz", feats=feats, other=1)
    torch.save(torch.from_numpy(feats), tmp_path / "v.pt")
    np.savetxt(tmp_path / "v.csv", feats, delimiter=",")
    (tmp_path / "named.csv").write_text("a,b,c\n" + (tmp_path / "v.csv").read_text())
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = OrderedDict(feats=feats.astype(np.float64))
        (tmp_path / f"v{protocol}.pkl").write_bytes(pickle.dumps(content, protocol))
    for path in tmp_path.iterdir():
        found = read_features(path)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, feats, rtol=1e-6)


@pytest.mark.parametrize("suffix", ["pkl", "pt"])
def test_code_in_a_file_is_refused(tmp_path, capsys, suffix):
    path = tmp_path / f"evil.{suffix}"
    if suffix == "pkl":
        path.write_bytes(pickle.dumps({"feats": Bomb()}))
    else:
        torch.save({"feats": Bomb()}, path)
    with pytest.raises(ValueError, match=rf"evil\.{suffix} cannot be read"):
        read_features(path)
    assert "code was run" not in capsys.readouterr().out


def test_bad_files(tmp_path, feats):
    with pytest.raises(FileNotFoundError, match=r"gone\.npy"):
        read_features(tmp_path / "gone.npy")
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.npy cannot be read"):
        read_features(tmp_path / "bad.npy")
    np.save(tmp_path / "flat.npy", feats[0])
    with pytest.raises(ValueError, match=r"flat\.npy .*shape \(3,\)"):
        read_features(tmp_path / "flat.npy")
    np.savez(tmp_path / "key.npz", features=feats)
    with pytest.raises(ValueError, match=r"no entry 'feats', only \['features'\]"):
        read_features(tmp_path / "key.npz")


def test_several_folders_are_stretched_and_joined(tmp_path, feats):
    for folder, array in (("rgb", feats), ("flow", feats[:4])):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "pre_v_post.npy", array)
    step = TRANSFORMS.build({"type": "LoadFeats", "feat_format": "npy", "prefix": "pre_", "suffix": "_post"})
    folders = [str(tmp_path / "rgb"), str(tmp_path / "flow")]
    found = step({"data_path": folders, "video": "v", "sample_stride": 1})["feats"]
    assert found.shape == (7, 6)
    assert np.array_equal(found[:, :3], feats)
    np.testing.assert_allclose(found[[0, 3, 6], 3:], [feats[0], (feats[1] + feats[2]) / 2, feats[3]], atol=1e-6)
    assert step({"data_path": folders, "video": "v", "sample_stride": 2})["feats"].shape == (4, 6)


def test_features_shorter_than_the_window(feats):
    step = TRANSFORMS.build({"type": "SlidingWindowTrunc"})
    window = {"feature_start_idx": 5, "feature_end_idx": 9, "window_size": 8, "video": "v"}
    results = step({"feats": feats, **window})
    assert results["masks"].tolist() == [True] * 2 + [False] * 6
    assert np.array_equal(results["feats"][:2], feats[5:])
    assert (results["feats"][2:] == 0).all()
    with pytest.raises(ValueError, match="'v' has 7 features, none of them in the window from position 9"):
        step({"feats": feats, **window, "feature_start_idx": 9})


def test_truncation_keeps_whole_actions():
    segments, labels = np.asarray([[10, 20], [100, 140]], dtype=np.float32), np.asarray([0, 1])
    for seed in range(30):
        start, end, kept, kept_labels = random_truncation(
            segments, labels, 200, trunc_len=50, thresh=0.75, rng=random.Random(seed)
        )
        assert end - start == 50
        assert 0 <= start <= 150
        assert len(kept_labels) >= 1
        lengths = (segments[kept_labels, 1] - segments[kept_labels, 0]) * 0.75
        assert (kept[:, 1] - kept[:, 0] >= lengths).all()
        assert kept.min() >= 0
        assert kept.max() <= 50


def test_truncation_of_a_short_video():
    segments, labels = np.asarray([[1, 5]], dtype=np.float32), np.asarray([0])
    whole = random_truncation(segments, labels, 10, trunc_len=20, thresh=0.5, rng=random.Random(0))
    assert whole[:2] == (0, 10)
    sizes = set()
    for seed in range(40):
        start, end, _, _ = random_truncation(
            segments, labels, 100, trunc_len=200, thresh=0.5, crop_ratio=(0.9, 1.0), rng=random.Random(seed)
        )
        sizes.add(end - start)
    assert min(sizes) >= 90
    assert max(sizes) <= 100
    assert len(sizes) > 3


def test_truncation_gives_up_with_the_last_draw():
    segments, labels = np.asarray([[0, 200]], dtype=np.float32), np.asarray([0])
    start, end, kept, kept_labels = random_truncation(
        segments, labels, 200, trunc_len=50, thresh=0.75, rng=random.Random(0)
    )
    assert end - start == 50
    assert kept.shape == (0, 2)
    assert len(kept_labels) == 0
