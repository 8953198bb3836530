"""One pass over a file gives the very samples of the dataset, whatever stride, run and length."""

import numpy as np
import pytest
import torch
from dataset_files import draw, encode

from opentad_bi.datasets.video_anomaly.stream import FrameStreamDataset, VideoRows, read_squares, stream_settings

CFG = {"type": "FrameStreamDataset", "videos": "nowhere", "classes": ["Normal", "Fire"], "size": 16}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Videos of 1, 32 and 50 frames."""
    folder = tmp_path_factory.mktemp("rows")
    for length in (1, 32, 50):
        encode(folder / f"{length}.mp4", [draw(frame) for frame in range(length)], lossless=True)
    return {length: folder / f"{length}.mp4" for length in (1, 32, 50)}


@pytest.mark.parametrize("length", [1, 32, 50])
@pytest.mark.parametrize(("stride", "chunk"), [(1, 7), (4, 4), (16, 64), (5, 1), (1, 40)])
def test_samples_are_those_of_the_dataset(files, length, stride, chunk):
    options = {"stride": stride, "chunk": chunk, "size": 16}
    data = FrameStreamDataset([files[length]], classes=CFG["classes"], **options)
    with VideoRows({**CFG, **options}, files[length]) as rows:
        samples = list(rows)
        assert len(samples) == len(rows) == len(data)
        for own, other in zip(samples, map(data.__getitem__, range(len(data))), strict=True):
            assert own["meta"] == other["meta"] and own["label"] == other["label"] == -1
            assert torch.equal(own["inputs"], other["inputs"]) and torch.equal(own["valid"], other["valid"])
        assert rows.collate(samples)["inputs"].shape == (len(rows), chunk, 3, 16, 16)
        assert rows.edges_sec.tolist() == [*(np.arange(0, length, stride) / rows.fps), length / rows.fps]


def test_the_stride_may_be_another(files):
    with VideoRows(CFG, files[50], stride=20) as rows:
        assert (rows.stride, rows.chunk, rows.numbers.tolist()) == (20, 64, [0, 20, 40])
        whole = next(iter(rows))["inputs"][:3]
    assert torch.equal(read_squares(CFG, files[50], [0, 20, 40]), whole)
    with pytest.raises(ValueError, match="stride 0 must be"):
        VideoRows(CFG, files[50], stride=0)


def test_other_datasets_are_refused():
    assert stream_settings(CFG)["stride"] == 16
    with pytest.raises(ValueError, match=r"dataset\.test is a ThumosSlidingDataset"):
        stream_settings({"type": "ThumosSlidingDataset"})
    with pytest.raises(KeyError, match="FrameStreamDataset"):
        stream_settings({"type": "FrameStreamDatasets"})
