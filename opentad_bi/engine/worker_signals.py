"""Signals in the worker processes of data loaders: a run is ended by its main process, a worker by its parent."""

import contextlib
import os
import signal
import threading


@contextlib.contextmanager
def held_sigterm():
    """Block SIGTERM in this thread, and so in every thread of the workers that are forked meanwhile.

    Packages that start threads of their own in a forked process (as loggers do) would else take the signal there.
    """
    if not hasattr(signal, "sigwaitinfo"):
        yield
        return
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def heed_parent_alone(worker):
    """Make this worker process deaf to Ctrl-C, and to SIGTERM unless it comes from its parent (`worker_init_fn`).

    A terminal, a job scheduler or torchrun sends both to every process of a run. A worker that died of it would
    interrupt the main process amid an iteration, before that can stop in order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS and Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_at_the_word_of_the_parent, daemon=True).start()


def _end_at_the_word_of_the_parent():
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
