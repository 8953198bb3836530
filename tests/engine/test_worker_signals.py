"""Worker processes of a loader outlive the signals that end a run, but not their parent's word."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import pytest
import toy

from opentad_bi.engine.data import held_sigterm, train_loader


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


@pytest.mark.skipif(sys.platform != "linux", reason="signals are held where their sender is known")
@pytest.mark.parametrize("held", [False, True])
def test_what_was_held_before_is_held_afterwards(held):
    def blocked():
        return signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    former = signal.pthread_sigmask(signal.SIG_BLOCK if held else signal.SIG_UNBLOCK, {signal.SIGTERM})
    try:
        with held_sigterm():
            assert blocked()
        assert blocked() == held
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
