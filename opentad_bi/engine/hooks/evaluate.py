"""Evaluation during training, and the best checkpoint by it."""

from ...registry import HOOKS
from ...utils.distributed import is_main
from ...utils.logging import LOGGER
from ..checkpoint import load_checkpoint, save_checkpoint
from .base import Hook


@HOOKS.register_module()
class EvaluateHook(Hook):
    """Evaluate the averaged weights every `interval` epochs from `start_epoch` on, and after the last epoch.

    The best ones by `metric.score` are kept in `checkpoint/best.pth` (epoch, score and weights, no optimizer).

    Args:
        interval: epochs between evaluations; 0: never.
        start_epoch: first epoch, counted from 0, after which to evaluate.
    """

    def __init__(self, interval=1, start_epoch=0):
        self.interval, self.start_epoch = interval, start_epoch

    def before_train(self, runner):
        """Take up the best score of a resumed run: an epoch's checkpoint is written before its evaluation."""
        path = runner.work_dir / "checkpoint" / "best.pth"
        if runner.epoch and path.is_file():
            best = load_checkpoint(path)
            runner.best = best["score"] if best["epoch"] < runner.epoch else runner.best

    def after_epoch(self, runner):
        """Evaluate if it is time."""
        done = runner.epoch - 1
        due = self.interval and (done >= self.start_epoch and runner.epoch % self.interval == 0)
        if not (due or (self.interval and runner.epoch == runner.end_epoch)):
            return
        metrics = runner.evaluate()
        score = runner.metric.score(metrics)
        if is_main():
            LOGGER.info("epoch %d\n%s", done, runner.metric.table(metrics))
        if runner.best is None or score > runner.best:
            runner.best = score
            if is_main():
                self._save_best(runner, done, score)

    def _save_best(self, runner, done, score):
        state = {
            "epoch": done,
            "score": score,
            "state_dict": runner.model.state_dict(),
            "state_dict_ema": runner.ema.module.state_dict(),
        }
        save_checkpoint(runner.work_dir / "checkpoint" / "best.pth", state)
        runner.metric.save(runner.work_dir)
        LOGGER.info("best so far: %.4f, checkpoint/best.pth", score)
