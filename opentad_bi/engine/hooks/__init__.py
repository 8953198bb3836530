"""Side effects of training, at four points of the loop."""

from typing import Any

from ...contracts import Hook
from ...registry import HOOKS
from .artifacts import ArtifactsHook
from .logging import LogHook, WritersHook
from .saving import CheckpointHook, EarlyStopHook, EvaluateHook, ExportHook, SignalHook, StopRun

__all__ = [
    "WORKFLOW_KEYS",
    "ArtifactsHook",
    "CheckpointHook",
    "EarlyStopHook",
    "EvaluateHook",
    "ExportHook",
    "Hook",
    "LogHook",
    "SignalHook",
    "StopRun",
    "WritersHook",
    "build_hooks",
]

WORKFLOW_KEYS = ("end_epoch", "logging_interval", "checkpoint_interval", "keep_last", "val_eval_interval",
                 "val_start_epoch", "tensorboard", "wandb")  # fmt: skip


def build_hooks(cfg: Any) -> list[Hook]:
    """The hooks every run has, as `workflow` sets them, then those the config lists in `hooks`.

    An `ArtifactsHook` comes before the writers: where it refuses the run, these have nothing to write.
    """
    flow = cfg.workflow
    checkpoint = {"interval": flow.get("checkpoint_interval", 1), "keep_last": flow.get("keep_last")}
    evaluate = {"interval": flow.get("val_eval_interval", 1), "start_epoch": flow.get("val_start_epoch", 0)}
    writers = {"tensorboard": flow.get("tensorboard", True), "wandb": flow.get("wandb")}
    standard = [
        {"type": "SignalHook"},
        {"type": "CheckpointHook", **checkpoint},
        {"type": "EvaluateHook", **evaluate},
        {"type": "LogHook", "interval": flow.get("logging_interval", 50)},
    ]
    own = [HOOKS.build(hook) for hook in cfg.get("hooks") or []]
    first = [hook for hook in own if isinstance(hook, ArtifactsHook)]
    rest = [hook for hook in own if hook not in first]
    return [*map(HOOKS.build, standard), *first, HOOKS.build({"type": "WritersHook", **writers}), *rest]
