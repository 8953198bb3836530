"""Hooks that save, evaluate and end a run.

Checkpoints at intervals, at the end, and when a run is interrupted; evaluation during training, and the best checkpoint
by it; exports of what a model learned in a form for readers; a stop when evaluation no longer improves, and one in good
order on Ctrl-C and SIGTERM.
"""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ...contracts import Average, Exports, Hook
from ...registry import HOOKS
from ...utils.distributed import gather_objects, is_main
from ...utils.files import read_json, remove_temporaries, write_json
from ...utils.logging import LOGGER
from ..checkpoint import checkpoint_files, class_names, run_state, save_checkpoint
from ..data import write_videos

if TYPE_CHECKING:
    from ..runner import Runner


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Write `checkpoint/epoch_{k}.pth` (k counted from 0) every `interval` epochs and after the last one.

    An orderly stop (signal, loss not finite, early stop) writes what is not saved yet to `checkpoint/interrupt.pth`,
    which `--resume auto` finds. `videos.json` lists the videos of the sets, where these can.

    Args:
        interval: epochs between checkpoints.
        keep_last: number of epoch checkpoints to keep, the newest ones; None keeps all. `best.pth` always stays.
    """

    def __init__(self, interval: int = 1, keep_last: int | None = None) -> None:
        if keep_last is not None and (not isinstance(keep_last, int) or keep_last < 1):
            raise ValueError(f"workflow.keep_last {keep_last!r} must be at least 1, or None to keep all")
        self.interval, self.keep_last = interval, keep_last
        self.saved: tuple[int, int] | None = None

    def before_train(self, runner: "Runner") -> None:
        """What a run starts from needs no saving; what a killed one left half-written goes."""
        self.saved = (runner.epoch, runner.iteration)
        if is_main():
            remove_temporaries(runner.work_dir / "checkpoint")
            write_videos(runner.work_dir, runner.video_record)

    def after_epoch(self, runner: "Runner") -> None:
        """Save if it is time."""
        if runner.epoch % self.interval == 0 or runner.epoch == runner.end_epoch:
            self._save(runner, f"epoch_{runner.epoch - 1}.pth")
            if is_main():
                (runner.work_dir / "checkpoint" / "interrupt.pth").unlink(missing_ok=True)
                self._retain(runner.work_dir / "checkpoint")

    def after_train(self, runner: "Runner") -> None:
        """Save what an orderly stop interrupts."""
        if not runner.stop or self.saved == (runner.epoch, runner.iteration):
            return
        if not all(t.isfinite().all() for t in runner.model.state_dict().values() if t.is_floating_point()):
            LOGGER.error("the model has non-finite weights and is not saved; the last checkpoint stands")
        else:
            self._save(runner, "interrupt.pth")
            LOGGER.warning("stopped by %s in epoch %d; resume it with --resume auto", runner.stop, runner.epoch)

    def _save(self, runner: "Runner", name: str) -> None:
        self.saved = (runner.epoch, runner.iteration)
        state = run_state(runner)
        if is_main():
            save_checkpoint(runner.work_dir / "checkpoint" / name, state)

    def _retain(self, folder: Path) -> None:
        epochs = [path for path in checkpoint_files(folder) if path.name != "interrupt.pth"]
        for path in epochs[: -self.keep_last] if self.keep_last else []:
            path.unlink()


@HOOKS.register_module()
class EvaluateHook(Hook):
    """Evaluate the averaged weights every `interval` epochs from `start_epoch` on, and after the last epoch.

    The best ones by `metric.score` are kept in `checkpoint/best.pth` (epoch, score, weights and names of classes, no
    optimizer), all scores in `scores.json`. A resumed run first makes up for an evaluation it was interrupted in.

    Args:
        interval: epochs between evaluations; 0: never.
        start_epoch: first epoch, counted from 0, after which to evaluate.
    """

    def __init__(self, interval: int = 1, start_epoch: int = 0) -> None:
        self.interval, self.start_epoch = interval, start_epoch

    def before_train(self, runner: "Runner") -> None:
        """Take up the scores of a resumed run: an epoch's checkpoint is written before its evaluation."""
        path = runner.work_dir / "scores.json"
        scores = read_json(path, "scores") if is_main() and path.is_file() else {}
        scores = gather_objects(scores)[0]
        runner.scores = {int(epoch): score for epoch, score in scores.items() if int(epoch) < runner.epoch}
        if runner.epoch and runner.epoch - 1 not in runner.scores:
            self.after_epoch(runner)

    def after_epoch(self, runner: "Runner") -> None:
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

    def _save_best(self, runner: "Runner", done: int, score: float) -> None:
        state = {
            "epoch": done,
            "score": score,
            "state_dict": runner.model.state_dict(),
            "state_dict_ema": runner.ema.module.state_dict(),
            "ema": Average.of(runner.ema).progress(),
            **class_names(runner.dataset("train")),
            **runner.video_record,
        }
        save_checkpoint(runner.work_dir / "checkpoint" / "best.pth", state)
        runner.metric.save(runner.work_dir)
        LOGGER.info("best so far: %.4f, checkpoint/best.pth", score)


@HOOKS.register_module()
class ExportHook(Hook):
    """Call `model.export(folder, stage)` of the averaged weights; stages: "initial", "best" (so far), "learned".

    Raises:
        TypeError: before training, if the model has no `export`.
    """

    def before_train(self, runner: "Runner") -> None:
        """What training starts from; after a resume between epochs, the best if its evaluation was made up for."""
        if runner.epoch == runner.iteration == 0:
            self._export(runner, "initial")
        if runner.iteration == 0:  # within an epoch the weights are no longer those that were evaluated
            self.after_epoch(runner)

    def after_epoch(self, runner: "Runner") -> None:
        """The best, if the epoch just done is it."""
        others = dict(runner.scores)
        score = others.pop(runner.epoch - 1, None)
        if score is not None and all(score > other for other in others.values()):
            self._export(runner, "best")

    def after_train(self, runner: "Runner") -> None:
        """What training ends with, or has come to."""
        self._export(runner, "learned")

    def _export(self, runner: "Runner", stage: str) -> None:
        model = runner.ema.module
        if not isinstance(model, Exports):
            raise TypeError(f"ExportHook: {type(model).__name__} has no export(folder, stage); leave the hook out")
        if is_main():
            model.export(runner.work_dir, stage)


@HOOKS.register_module()
class EarlyStopHook(Hook):
    """Stop after `patience` evaluations in a row without a better score, those before a resume counted in.

    Args:
        patience: number of evaluations.
    """

    def __init__(self, patience: int = 3) -> None:
        if patience < 1:
            raise ValueError(f"patience {patience} must be at least 1")
        self.patience = patience

    def before_train(self, runner: "Runner") -> None:
        """A run that was stopped early stays stopped."""
        self.after_epoch(runner)

    def after_epoch(self, runner: "Runner") -> None:
        """Count evaluations since the best one."""
        scores = list(runner.scores.values())
        if scores and len(scores) - 1 - scores.index(max(scores)) >= self.patience:
            runner.stop = f"{self.patience} evaluations without improvement"
            LOGGER.info("stopping early: %s", runner.stop)


class StopRun(Exception):
    """Leaves an evaluation because of a signal."""


@HOOKS.register_module()
class SignalHook(Hook):
    """On SIGINT or SIGTERM, finish the iteration and stop; a second SIGINT interrupts at once.

    An evaluation is interrupted: a resumed run makes up for it.
    """

    def __init__(self) -> None:
        self.previous: dict[int, Any] = {}

    def before_train(self, runner: "Runner") -> None:
        """Take over both signals."""

        def request(number: int, frame: FrameType | None) -> None:
            runner.stop_requested = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if runner.evaluating:
                raise StopRun(signal.Signals(number).name)
            LOGGER.warning("%s: stopping after this iteration", signal.Signals(number).name)

        for number in (signal.SIGINT, signal.SIGTERM):
            self.previous[number] = signal.signal(number, request)

    def after_train(self, runner: "Runner") -> None:
        """Give the signals back."""
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}
