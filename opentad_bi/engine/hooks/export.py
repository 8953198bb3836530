"""What a model learned, in a form for readers."""

from ...registry import HOOKS
from ...utils.distributed import is_main
from .base import Hook


@HOOKS.register_module()
class ExportHook(Hook):
    """Call `model.export(folder, stage)` of the averaged weights; stages: "initial", "best" (so far), "learned"."""

    def before_train(self, runner):
        """What training starts from; after a resume between epochs, the best if its evaluation was made up for."""
        if runner.epoch == runner.iteration == 0:
            self._export(runner, "initial")
        if runner.iteration == 0:  # amid an epoch the weights are no longer those that were evaluated
            self.after_epoch(runner)

    def after_epoch(self, runner):
        """The best, if the epoch just done is it."""
        others = dict(runner.scores)
        score = others.pop(runner.epoch - 1, None)
        if score is not None and all(score > other for other in others.values()):
            self._export(runner, "best")

    def after_train(self, runner):
        """What training ends with, or has come to."""
        self._export(runner, "learned")

    def _export(self, runner, stage):
        if is_main():
            runner.ema.module.export(runner.work_dir, stage)
