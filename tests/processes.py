"""Functions in several processes that find each other as under `torchrun`, without its start-up.

The processes are forked from one server that has imported PyTorch and the package, so they cost little. That `torchrun`
itself starts the commands is tested in `tests/cli/test_train_command.py`.
"""

import multiprocessing
import os
import socket
import sys
import time
import traceback
from multiprocessing.connection import wait

import torch

IMPORTED = ["torch.distributed", "opentad_bi.cli.train", "opentad_bi.cli.extract.predictions"]
TIMEOUT_SEC = 200


def run_processes(count, function, *arguments):
    """Call `function(*arguments)` in `count` processes; AssertionError with what was raised, unless all give 0 or None.

    The function and its arguments must be picklable; modules are found as in this process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        shared = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(count)}
    raised = context.SimpleQueue()
    running = [
        context.Process(
            target=_child, args=(raised, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}, function, arguments)
        )
        for rank in range(count)
    ]
    for process in running:
        process.start()
    deadline = time.monotonic() + TIMEOUT_SEC
    while time.monotonic() < deadline and any(p.is_alive() for p in running) and not any(p.exitcode for p in running):
        wait([process.sentinel for process in running if process.is_alive()], 1)
    codes = [process.exitcode for process in running]
    for process in running:
        process.kill()
        process.join()
    assert codes == [0] * count, f"exit codes {codes}: {'' if raised.empty() else raised.get()}"


def _child(raised, env, function, arguments):
    os.environ.update(env)
    torch.set_num_threads(1)
    try:
        code = function(*arguments)
    except BaseException:
        raised.put(traceback.format_exc())
        code = 1
    sys.exit(code)
