"""Ctrl-C and SIGTERM end training in good order."""

import signal

from ...registry import HOOKS
from ...utils.logging import LOGGER
from .base import Hook


class StopRun(Exception):
    """Leaves an evaluation because of a signal."""


@HOOKS.register_module()
class SignalHook(Hook):
    """On SIGINT or SIGTERM, finish the iteration and stop; a second SIGINT interrupts at once.

    An evaluation is broken off: a resumed run makes up for it.
    """

    def __init__(self):
        self.former = {}

    def before_train(self, runner):
        """Take over both signals."""

        def request(number, frame):
            runner.stop_requested = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if runner.evaluating:
                raise StopRun(signal.Signals(number).name)
            LOGGER.warning("%s: stopping after this iteration", signal.Signals(number).name)

        for number in (signal.SIGINT, signal.SIGTERM):
            self.former[number] = signal.signal(number, request)

    def after_train(self, runner):
        """Give the signals back."""
        for number, handler in self.former.items():
            signal.signal(number, handler)
        self.former = {}
