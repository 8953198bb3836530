"""Ctrl-C and SIGTERM end training in good order."""

import signal

from ...registry import HOOKS
from ...utils.logging import LOGGER
from .base import Hook


@HOOKS.register_module()
class SignalHook(Hook):
    """On SIGINT or SIGTERM, finish the iteration and stop; a second SIGINT interrupts at once."""

    def __init__(self):
        self.former = {}

    def before_train(self, runner):
        """Take over both signals."""

        def request(number, frame):
            LOGGER.warning("%s: stopping after this iteration", signal.Signals(number).name)
            runner.stop_requested = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        for number in (signal.SIGINT, signal.SIGTERM):
            self.former[number] = signal.signal(number, request)

    def after_train(self, runner):
        """Give the signals back."""
        for number, handler in self.former.items():
            signal.signal(number, handler)
        self.former = {}
