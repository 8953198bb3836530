"""Evaluation during training, and the best checkpoint by it."""

from ...registry import HOOKS
from ...utils.distributed import gather_objects, is_main
from ...utils.files import read_json, write_json
from ...utils.logging import LOGGER
from ..checkpoint import save_checkpoint
from ..ema import progress_of
from ..state import class_names
from .base import Hook


@HOOKS.register_module()
class EvaluateHook(Hook):
    """Evaluate the averaged weights every `interval` epochs from `start_epoch` on, and after the last epoch.

    The best ones by `metric.score` are kept in `checkpoint/best.pth` (epoch, score, weights and names of classes, no
    optimizer), all scores in `scores.json`. A resumed run first makes up for an evaluation it was interrupted in.

    Args:
        interval: epochs between evaluations; 0: never.
        start_epoch: first epoch, counted from 0, after which to evaluate.
    """

    def __init__(self, interval=1, start_epoch=0):
        self.interval, self.start_epoch = interval, start_epoch

    def before_train(self, runner):
        """Take up the scores of a resumed run: an epoch's checkpoint is written before its evaluation."""
        path = runner.work_dir / "scores.json"
        scores = read_json(path, "scores") if is_main() and path.is_file() else {}
        scores = gather_objects(scores)[0]
        runner.scores = {int(epoch): score for epoch, score in scores.items() if int(epoch) < runner.epoch}
        if runner.epoch and runner.epoch - 1 not in runner.scores:
            self.after_epoch(runner)

    def after_epoch(self, runner):
        """Evaluate if it is time."""
        done = runner.epoch - 1
        due = done >= self.start_epoch and runner.epoch % self.interval == 0 if self.interval else False
        if not (due or (self.interval and runner.epoch == runner.end_epoch)):
            return
        metrics = runner.evaluate()
        score = runner.metric.score(metrics)
        better = runner.best is None or score > runner.best
        runner.scores[done] = score
        if is_main():
            LOGGER.info("epoch %d\n%s", done, runner.metric.table(metrics))
            if better:
                self._save_best(runner, done, score)
            write_json(runner.work_dir / "scores.json", runner.scores)

    def _save_best(self, runner, done, score):
        state = {
            "epoch": done,
            "score": score,
            "state_dict": runner.model.state_dict(),
            "state_dict_ema": runner.ema.module.state_dict(),
            **progress_of(runner.ema),
            **class_names(runner.dataset("train")),
            **runner.video_record,
        }
        save_checkpoint(runner.work_dir / "checkpoint" / "best.pth", state)
        runner.metric.save(runner.work_dir)
        LOGGER.info("best so far: %.4f, checkpoint/best.pth", score)
