"""What a run leaves for others: its best weights, its config, its log and its best numbers, in a folder by its key."""

import json
import os
import re
import time
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from ...contracts import Average, Hook
from ...registry import HOOKS
from ...utils.distributed import gather_objects, is_main
from ...utils.files import list_folder, read_json, write_text
from ...utils.logging import LOGGER
from ..checkpoint import class_names, save_checkpoint
from ..warm_start import FILE, ROOT

if TYPE_CHECKING:
    from ..runner import Runner

CONFIG, LOG, RESULTS = "config.json", "training_log.json", "validation_results.json"


@HOOKS.register_module()
class ArtifactsHook(Hook):
    """Keep `root/folder/run_id/` up to date after every epoch; the key "folder/run_id" is what `continue_from` takes.

    * `checkpoint.pth`: the best weights so far, or the newest where nothing has been evaluated; with the epoch, its
      score, the names of the classes, the config, and optimizer and schedule of every branch and the iterations of an
      epoch.
    * `config.json`: the resolved config, the seed, and as "run" the work folder that the artifacts belong to.
    * `training_log.json`: of every epoch the mean losses and logged metrics, the rates of its last iteration, the
      seconds it trained (after a resume, those since then), its evaluation and its score.
    * `validation_results.json`: the numbers of the best evaluation, its epoch, score and split.

    Args:
        folder: such as "method/dataset".
        run_id: name of the run; None: that of its work folder, without the number of processes ("id0" of "gpu1_id0").
        root: the folder of all artifacts.
    Raises:
        ValueError: before training, if the folder holds what another run left.
        TypeError: the config or the metric gives what JSON cannot hold.
    """

    def __init__(self, folder: Path | str, run_id: str | None = None, root: Path | str = ROOT) -> None:
        self.root, self.run_id = Path(root), run_id
        self.parent = self.folder = self.root / folder
        self.log: list[dict[str, Any]] = []
        self.started = 0.0
        self.seconds: float | None = None

    def before_train(self, runner: "Runner") -> None:
        """Refuse the folder of another run; take up the log of this one, and make up for a missing epoch."""
        folder = self.parent / str(self.run_id or _without_processes(runner.work_dir).name)
        run = os.path.relpath(runner.work_dir.resolve(), self.root.resolve().parent)
        resumed = bool(runner.epoch or runner.iteration)
        problem = gather_objects(_problem(folder, run, resumed) if is_main() else None)[0]
        if problem:
            raise ValueError(problem)
        self.folder = folder
        if is_main():
            log = read_json(folder / LOG, "training log") if (folder / LOG).is_file() else []
            self.log = [entry for entry in log if entry["epoch"] < runner.epoch]
            _write(folder / CONFIG, {"run": run, "seed": runner.seed, **runner.cfg.to_dict()})
        logged = gather_objects([entry["epoch"] for entry in self.log])[0]
        if runner.iteration == 0 < runner.epoch and runner.epoch - 1 not in logged:
            if runner.epoch - 1 in runner.scores and runner.metrics is None:
                runner.evaluate()  # the score was kept, the numbers were not
            self.after_epoch(runner)
        self.started = time.perf_counter()

    def after_iter(self, runner: "Runner") -> None:
        """Look at the clock."""
        self.seconds = time.perf_counter() - self.started

    def after_epoch(self, runner: "Runner") -> None:
        """Write the log and, if the epoch is the best, its weights and numbers."""
        if is_main():
            done = runner.epoch - 1
            # resumed in another work folder, a run has its earlier scores in the log alone
            others = {entry["epoch"]: entry["score"] for entry in self.log if entry["score"] is not None}
            others.update(runner.scores)
            score = others.pop(done, None)
            best = all(score > other for other in others.values()) if score is not None else not others
            if best:
                self._keep(runner, done, score)
            self.log.append(self._entry(runner, done, score))
            _write(self.folder / LOG, self.log)
        self.started, self.seconds = time.perf_counter(), None

    def _keep(self, runner: "Runner", done: int, score: float | None) -> None:
        state = {
            "epoch": done,
            "score": score,
            "iters_per_epoch": runner.iters_per_epoch,
            "state_dict": runner.model.state_dict(),
            "state_dict_ema": runner.ema.module.state_dict(),
            "ema": Average.of(runner.ema).progress(),
            "branches": {name: branch.state_dict() for name, branch in runner.branches.items()},
            "config": runner.config_text,
            **class_names(runner.dataset("train")),
            **runner.video_record,
        }
        save_checkpoint(self.folder / FILE, state)
        if score is not None:
            best = {"epoch": done, "split": runner.split, "score": score, "results": runner.metrics}
            _write(self.folder / RESULTS, best)
        LOGGER.info("artifacts: %s", self.folder)

    def _entry(self, runner: "Runner", done: int, score: float | None) -> dict[str, Any]:
        return {
            "epoch": done,
            "losses": runner.means["losses"].values(),
            "logged": runner.means["logged"].values(),
            "rates": runner.lrs,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "evaluation": None if score is None else runner.metrics,
            "score": score,
        }


def _problem(folder: Path, run: str, resumed: bool) -> str | None:
    """Why a run must not write to `folder`, or None."""
    if not folder.is_dir() or not list_folder(folder):
        return None
    kept = read_json(folder / CONFIG, "config") if (folder / CONFIG).is_file() else {}
    owner = kept.get("run", "an unknown one")
    own = _without_processes(owner) == _without_processes(run)
    if own and (resumed or not (folder / FILE).is_file()):
        return None
    other = f"a previous run in {owner}" if own else f"another run ({owner})"
    return (
        f"{folder} holds the artifacts of {other}; take another number of the run (--id) or another run_id, resume "
        "that run (--resume auto), or move them away"
    )


def _without_processes(run: Path | str) -> Path:
    """A work folder's path without the number of processes in its name: a run may be resumed with another."""
    run = Path(run)
    return run.parent / re.sub(r"^gpu\d+_", "", run.name)


def _write(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, default=partial(_plain, path)))


def _plain(path: Path, value: Any) -> Any:
    """What JSON does not know, as it knows it; anything else would be read as another thing."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{path} cannot hold {value!r} (a {type(value).__name__}); give numbers, texts, lists and dicts")
