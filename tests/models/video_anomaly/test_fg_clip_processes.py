"""Two processes are one with all of the batch: their features meet, with gradient, also where one has no region."""

import pytest
import torch
from close import close
from processes import run_processes
from region_batches import build
from two_processes import OPTIONS, train, train_a_share

from opentad_bi.utils.distributed import gather_rows


def test_two_processes_equal_one_with_the_whole_batch(tiny_json, tmp_path):
    model = build(tiny_json, **OPTIONS)
    wanted = train(model, model)
    run_processes(2, train_a_share, tiny_json, tmp_path)
    assert wanted[1]["region_loss"] > 0 and wanted[2]["region_loss"] == 0
    first, second = (torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in range(2))
    for found in (first, second):
        for losses, one in zip(wanted, found["losses"], strict=True):
            assert one == pytest.approx(losses, rel=1e-4, abs=1e-6)
    for name, value in model.state_dict().items():
        assert torch.equal(first["state"][name], second["state"][name]), name
        close(first["state"][name], value, ulps=8192, msg=name)


def test_one_process_gathers_its_own():
    rows = torch.ones(2, 3)
    assert gather_rows(rows) is rows
