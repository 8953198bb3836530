"""Worker processes of a loader outlive the signals that end a run, but not their parent's word."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import pytest
import toy

from opentad_bi.engine.loaders import train_loader


def idle():
    """Start a thread that waits."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()


AT_FORK = []  # what a forked process starts with
os.register_at_fork(after_in_child=lambda: [start() for start in AT_FORK])


@pytest.mark.skipif(sys.platform != "linux", reason="the sender of a signal is known on Linux alone")
@pytest.mark.parametrize("threads", [0, 2])
def test_a_worker_ends_at_the_word_of_its_parent_alone(monkeypatch, threads):
    """Also if a package starts threads of its own in every forked process."""
    monkeypatch.setattr(sys.modules[__name__], "AT_FORK", [idle] * threads)
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
