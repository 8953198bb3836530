"""Both sources of the backward sample are the same window, mirrored."""

import numpy as np
import pytest
import torch
from dataset_files import draw, encode, feature_pipeline, frame_pipeline

from opentad_bi.ops.reverse import reverse_batch
from opentad_bi.registry import DATASETS


def pair(make, root, suffix="", pipeline=None, **arguments):
    """(device source, files source) over the same data."""
    cfg = make(data_path=str(root / f"for{suffix}"), pipeline=pipeline or frame_pipeline(), **arguments)
    back = str(root / f"back{suffix}")
    return (
        DATASETS.build({"type": "PairedDataset", "dataset": cfg}),
        DATASETS.build({"type": "PairedDataset", "dataset": cfg, "source": "files", "back_data_path": back}),
    )


def both_batches(device, files, keys):
    """The batch of each source; that of the device source is reversed as the model does it."""
    batch = device.collate([device[key] for key in keys])
    assert list(batch) == ["for"]
    return batch | {"back": reverse_batch(batch["for"])}, files.collate([files[key] for key in keys])


def assert_same_targets(a, b):
    for direction in ("for", "back"):
        assert torch.equal(a[direction]["masks"], b[direction]["masks"])
        for key in ("gt_segments", "gt_labels"):
            for x, y in zip(a[direction][key], b[direction][key], strict=True):
                assert torch.equal(x, y)
        assert a[direction]["meta"] == b[direction]["meta"]


KEYS = [(i, seed) for i in (0, 1) for seed in range(4)]


@pytest.mark.parametrize("scale_factor", [1, 2])
def test_lossless_files_give_the_same_frames(make, videos, scale_factor):
    a, b = both_batches(*pair(make, videos, pipeline=frame_pipeline(scale_factor=scale_factor)), KEYS)
    assert_same_targets(a, b)
    assert torch.equal(a["for"]["inputs"], b["for"]["inputs"])
    assert torch.equal(a["back"]["inputs"], b["back"]["inputs"])
    assert not a["for"]["masks"].all()


def test_lossy_files_are_close(make, videos):
    plain = [step for step in frame_pipeline() if step["type"] not in ("ImgAug", "ColorJitter")]
    a, b = both_batches(*pair(make, videos, "_lossy", pipeline=plain), KEYS)
    assert_same_targets(a, b)
    difference = (a["back"]["inputs"].float() - b["back"]["inputs"].float()).abs()
    unrelated = (a["for"]["inputs"].float() - b["back"]["inputs"].float()).abs()
    assert 0 < difference.mean() < 4
    assert unrelated.mean() > 5 * difference.mean()


def test_backward_sample(make, videos):
    sample = pair(make, videos, pipeline=[*frame_pipeline()[:2], frame_pipeline()[-1]])[1][1, 0]
    valid = sample["for"]["meta"].valid_length
    forward, back = sample["for"]["inputs"], sample["back"]["inputs"]
    assert valid < 16
    assert torch.equal(back[:, :valid], forward[:, :valid].flip(1))
    assert (back[:, valid:] == forward[:, :1]).all()
    start, end = sample["for"]["gt_segments"].unbind(1)
    mirrored = torch.stack([valid - 1 - end, valid - 1 - start], dim=1).flip(0)
    assert torch.equal(sample["back"]["gt_segments"], mirrored)
    assert torch.equal(sample["back"]["gt_labels"], sample["for"]["gt_labels"].flip(0))


def test_features(make, features):
    a, b = both_batches(*pair(make, features, pipeline=feature_pipeline()), KEYS)
    assert_same_targets(a, b)
    assert torch.equal(a["back"]["inputs"], b["back"]["inputs"])
    assert not a["for"]["masks"].all()
    assert (b["back"]["inputs"][4:][:, :, -1] == 0).all()


def test_sliding_windows_of_files(make, videos):
    pipeline = [{"type": "LoadFrames", "method": "sliding_window"}, {"type": "DecodeFrames"}, {"type": "Collect"}]
    cfg = make("ThumosSlidingDataset", data_path=str(videos / "for"), pipeline=pipeline, test_mode=True, window_size=16)
    back = str(videos / "back")
    files = DATASETS.build({"type": "PairedDataset", "dataset": cfg, "source": "files", "back_data_path": back})
    for sample in files:
        valid = sample["for"]["meta"].valid_length
        assert torch.equal(sample["back"]["inputs"][:, :valid], sample["for"]["inputs"][:, :valid].flip(1))
        assert "gt_segments" not in sample["back"]


def test_files_of_different_length_or_size(make, videos, tmp_path):
    cfg = make(data_path=str(videos / "for"), pipeline=frame_pipeline())
    files = {"type": "PairedDataset", "dataset": cfg, "source": "files", "back_data_path": str(tmp_path)}
    encode(tmp_path / "long.mp4", [draw(i) for i in range(229)], lossless=True)
    with pytest.raises(ValueError, match=r"has 229 frames, but .* has 230"):
        DATASETS.build(files)[0]
    encode(tmp_path / "short.mp4", [np.ascontiguousarray(draw(i)) for i in range(50)], lossless=True, size=(64, 48))
    with pytest.raises(ValueError, match=r"frames of \(48, 64\) pixels, the forward one of \(64, 96\)"):
        DATASETS.build(files)[1]


def test_features_of_different_length(make, features, tmp_path):
    cfg = make(data_path=str(features / "for"), pipeline=feature_pipeline())
    np.save(tmp_path / "long.npy", np.zeros((57, 6), dtype=np.float32))
    files = {"type": "PairedDataset", "dataset": cfg, "source": "files", "back_data_path": str(tmp_path)}
    with pytest.raises(ValueError, match=r"'long': features \(58, 6\).*reversed \(57, 6\)"):
        DATASETS.build(files)[0]


def test_sources_are_checked(make):
    with pytest.raises(ValueError, match="'disc' is not one of 'device', 'files'"):
        DATASETS.build({"type": "PairedDataset", "dataset": make(), "source": "disc"})
    with pytest.raises(ValueError, match="'files' needs it"):
        DATASETS.build({"type": "PairedDataset", "dataset": make(), "source": "files"})
