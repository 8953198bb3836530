"""Checkpoints at intervals, at the end, and when a run is interrupted."""

from ...registry import HOOKS
from ...utils.distributed import is_main
from ...utils.files import remove_temporaries
from ...utils.logging import LOGGER
from ..checkpoint import checkpoint_files, save_checkpoint
from ..state import run_state
from ..videos import write_videos
from .base import Hook


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Write `checkpoint/epoch_{k}.pth` (k counted from 0) every `interval` epochs and after the last one.

    An orderly stop (signal, loss not finite, early stop) writes what is not saved yet to `checkpoint/interrupt.pth`,
    which `--resume auto` finds. `videos.json` lists the videos of the sets, where these can.

    Args:
        interval: epochs between checkpoints.
        keep_last: number of epoch checkpoints to keep, the newest ones; None keeps all. `best.pth` always stays.
    """

    def __init__(self, interval=1, keep_last=None):
        if keep_last is not None and (not isinstance(keep_last, int) or keep_last < 1):
            raise ValueError(f"workflow.keep_last {keep_last!r} must be at least 1, or None to keep all")
        self.interval, self.keep_last, self.saved = interval, keep_last, None

    def before_train(self, runner):
        """What a run starts from needs no saving; what a killed one left half-written goes."""
        self.saved = (runner.epoch, runner.iteration)
        if is_main():
            remove_temporaries(runner.work_dir / "checkpoint")
            write_videos(runner.work_dir, runner.video_record)

    def after_epoch(self, runner):
        """Save if it is time."""
        if runner.epoch % self.interval == 0 or runner.epoch == runner.end_epoch:
            self._save(runner, f"epoch_{runner.epoch - 1}.pth")
            if is_main():
                (runner.work_dir / "checkpoint" / "interrupt.pth").unlink(missing_ok=True)
                self._retain(runner.work_dir / "checkpoint")

    def after_train(self, runner):
        """Save what an orderly stop interrupts."""
        if not runner.stop or self.saved == (runner.epoch, runner.iteration):
            return
        if not all(t.isfinite().all() for t in runner.model.state_dict().values() if t.is_floating_point()):
            LOGGER.error("the model holds numbers that are not finite and is not saved; the last checkpoint stands")
        else:
            self._save(runner, "interrupt.pth")
            LOGGER.warning("stopped by %s in epoch %d; go on with --resume auto", runner.stop, runner.epoch)

    def _save(self, runner, name):
        self.saved = (runner.epoch, runner.iteration)
        state = run_state(runner)
        if is_main():
            save_checkpoint(runner.work_dir / "checkpoint" / name, state)

    def _retain(self, folder):
        epochs = [path for path in checkpoint_files(folder) if path.name != "interrupt.pth"]
        for path in epochs[: -self.keep_last] if self.keep_last else []:
            path.unlink()
