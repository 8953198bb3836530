"""Worker processes of a loader outlive the signals that end a run, but not their parent's word."""

import multiprocessing
import os
import signal
import subprocess
import sys

import pytest
import toy

from opentad_bi.engine.loaders import train_loader


@pytest.mark.skipif(sys.platform != "linux", reason="the sender of a signal is known on Linux alone")
def test_a_worker_ends_at_the_word_of_its_parent_alone():
    loader = train_loader(toy.ToyData(64), batch_size=4, num_workers=1, accumulate=1, seed=0)
    before = set(multiprocessing.active_children())
    batches = iter(loader)
    next(batches)
    (worker,) = set(multiprocessing.active_children()) - before
    os.kill(worker.pid, signal.SIGINT)
    subprocess.run(["kill", "-TERM", str(worker.pid)], check=True)
    for _ in range(8):
        next(batches)
    assert worker.is_alive()
    worker.terminate()
    worker.join(20)
    assert not worker.is_alive()
