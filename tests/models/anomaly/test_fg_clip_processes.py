"""Two processes are one with all of the batch: their features meet, with gradient, also where one has no region."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from region_batches import build
from two_processes import OPTIONS, train

from opentad_bi.utils.distributed import gather_rows


def test_two_processes_equal_one_with_the_whole_batch(tiny_json, tmp_path):
    script, meeting = Path(__file__).with_name("two_processes.py"), tmp_path / "meeting"
    results = [tmp_path / f"{rank}.pth" for rank in range(2)]
    words = [[sys.executable, script, str(rank), meeting, tiny_json, results[rank]] for rank in range(2)]
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}  # not what is installed
    running = [subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=here) for line in words]
    model = build(tiny_json, **OPTIONS)
    wanted = train(model, model)
    told = [process.communicate(timeout=200)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert wanted[1]["region_loss"] > 0 and wanted[2]["region_loss"] == 0
    first, second = (torch.load(path, weights_only=True) for path in results)
    for found in (first, second):
        for losses, one in zip(wanted, found["losses"], strict=True):
            assert one == pytest.approx(losses, rel=1e-4, abs=1e-6)
    for name, value in model.state_dict().items():
        assert torch.equal(first["state"][name], second["state"][name]), name
        torch.testing.assert_close(first["state"][name], value, rtol=1e-3, atol=1e-5, msg=name)


def test_one_process_gathers_its_own():
    rows = torch.ones(2, 3)
    assert gather_rows(rows) is rows
