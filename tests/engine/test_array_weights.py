"""Weights from .npz files of named arrays."""

import numpy as np
import pytest
import torch
from torch import nn

from opentad_bi.engine.warm_start import load_initial_weights
from opentad_bi.utils.weight_files import read_file


def test_named_arrays_fill_a_network(tmp_path):
    network = nn.Linear(3, 2)
    arrays = {"module.weight": np.arange(6, dtype=np.float16).reshape(2, 3), "module.bias": np.ones(2)}
    np.savez(tmp_path / "w.npz", **arrays)
    state, key, _ = read_file(tmp_path / "w.npz")
    assert (sorted(state), key) == (["bias", "weight"], "")
    load_initial_weights("model", network, {"pretrained": {"path": str(tmp_path / "w.npz")}})
    assert torch.equal(network.weight, torch.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / "w.npz", weight=arrays["module.weight"])
    with pytest.raises(ValueError, match=r"missing in the file \(1\): bias"):
        load_initial_weights("model", network, {"pretrained": {"path": str(tmp_path / "w.npz")}})


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        read_file(tmp_path / "none.npz")
    np.savez(tmp_path / "objects.npz", weight=np.asarray([{"a": 1}], dtype=object))
    content = (tmp_path / "objects.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.npz").write_text("weights")
    for name in ("objects", "cut", "text"):
        with pytest.raises(ValueError, match=rf"{name}\.npz is damaged or not a (file of named|whole zip)"):
            read_file(tmp_path / f"{name}.npz")
