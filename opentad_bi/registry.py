"""One registry per kind of component; a config names a component by its `type`."""

import difflib
import functools
import inspect
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Any

from mmengine.registry import Registry

from .utils.distributed import is_main
from .utils.logging import LOGGER

# {earlier name: those that stand for it now} of arguments, config keys, registered classes and values that are text;
# the earlier ones are accepted in this version, wherever they are unknown and one of the others is known
RENAMED = {
    "WarmupShareLR": ("WarmupRatioLR",),
    "agreement": ("cross_direction_voting",),
    "draw_seed": ("sampling_seed",),
    "share": ("warmup_ratio", "natural"),
    "unfused_share": ("aux_loss_weight",),
    "unit_duration": ("snippet_duration",),
    "val_share": ("val_ratio",),
    "warmup_share": ("warmup_ratio",),
}


def nearest(name: object, choices: Iterable[Any], every: bool = False) -> str:
    """Return a hint for a misspelt `name`: the closest of `choices` (and, with `every`, all), or all of them."""
    choices = sorted(map(str, choices))
    near = difflib.get_close_matches(str(name), choices, n=1)
    known = ", ".join(choices) or "none"
    if not near:
        return f"known: {known}"
    return f"did you mean {near[0]!r}?" + (f" (all: {known})" if every else "")


def check_keys(where: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise a KeyError with a hint if `given` (the dict at `where` in a config) has a key that is not `known`."""
    for key in given:
        if key not in known:
            raise KeyError(f"{where}: unknown key {key!r}; {nearest(key, known)}")


def current_name(name: str, known: Container) -> str:
    """What `name` is called in `known`: itself or, of an earlier name, the one of now, which the log gives once."""
    found = [now for now in RENAMED.get(name, ()) if now in known]
    if name in known or not found:
        return name
    log_renamed(name, found[0])
    return found[0]


@functools.cache
def log_renamed(earlier: str, now: str) -> None:
    """Log once per process that a name has changed: a warning, but not about data, so `--strict` lets it pass."""
    if is_main():
        LOGGER.warning("%r is now called %r; the next version will not accept the earlier name", earlier, now)


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Kind(Registry):
    """A registry whose errors name the misspelt thing and the nearest known one.

    `locations` are the packages that hold the registered classes; they are imported at the first lookup.
    """

    def __init__(self, name: str, locations: Sequence[str]) -> None:
        super().__init__(name, scope="opentad_bi", locations=locations)

    def find(self, name: str) -> Any:
        """Return the class registered under `name`; KeyError with a hint if there is none."""
        if name not in self._module_dict:
            self.import_from_location()
        name = current_name(name, self._module_dict)
        if name not in self._module_dict:
            raise KeyError(f"no {self.name} is called {name!r}; {nearest(name, self._module_dict)}")
        return self._module_dict[name]

    def build(self, cfg: Mapping[str, Any], **context: Any) -> Any:
        """Build `cfg["type"]` with the other entries of `cfg` as keyword arguments.

        `context` are defaults from the caller, given only where the constructor has such a parameter.
        Arguments may have their earlier names, see `RENAMED`. An unknown argument is a ValueError that names the
        nearest known one; so is one that is missing, or given twice.
        """
        if not isinstance(cfg, dict) or "type" not in cfg:
            raise ValueError(f"a {self.name} is described by a dict with the key 'type'; got {cfg!r}")
        args = dict(cfg)
        cls = self.find(args.pop("type"))
        parameters = inspect.signature(cls).parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        for key in list(args):
            if (now := current_name(key, parameters)) != key:
                if now in args:
                    raise ValueError(f"{cls.__name__} has the argument {now!r} twice: {key!r} is its earlier name")
                args[now] = args.pop(key)
            elif key not in parameters and not open_ended:
                raise ValueError(f"{cls.__name__} has no argument {key!r}; {nearest(key, parameters)}")
        args.update({k: v for k, v in context.items() if k in parameters and k not in args})
        needed = [k for k, p in parameters.items() if p.default is p.empty and p.kind in _NAMED and k not in args]
        if needed:
            raise ValueError(f"{cls.__name__} needs the argument {', '.join(map(repr, needed))}")
        return cls(**args)


MODELS = Kind("model", ["opentad_bi.models"])
BACKBONES = Kind("backbone", ["opentad_bi.models"])
PROJECTIONS = Kind("projection", ["opentad_bi.models"])
NECKS = Kind("neck", ["opentad_bi.models"])
HEADS = Kind("head", ["opentad_bi.models"])
POINT_GENERATORS = Kind("point generator", ["opentad_bi.models"])
FUSIONS = Kind("fusion", ["opentad_bi.models"])
MIXERS = Kind("mixer", ["opentad_bi.models"])
LOSSES = Kind("loss", ["opentad_bi.models"])
PROMPTS = Kind("prompt", ["opentad_bi.models"])
VISUAL_PROMPTS = Kind("visual prompt", ["opentad_bi.models"])
COUPLINGS = Kind("prompt coupling", ["opentad_bi.models"])
POOLINGS = Kind("temporal pooling", ["opentad_bi.models"])
DATASETS = Kind("dataset", ["opentad_bi.datasets"])
VIDEO_LISTS = Kind("video list", ["opentad_bi.datasets"])
TRANSFORMS = Kind("transform", ["opentad_bi.datasets"])
READERS = Kind("video reader", ["opentad_bi.datasets"])
METRICS = Kind(
    "metric",
    [
        "opentad_bi.evaluation.detection.map",
        "opentad_bi.evaluation.classification.accuracy",
        "opentad_bi.evaluation.anomaly.frame_auc",
        "opentad_bi.evaluation.anomaly.retrieval",
        "opentad_bi.evaluation.common.combined",
    ],
)
OPTIMIZERS = Kind("optimizer", ["opentad_bi.engine"])
SCHEDULERS = Kind("schedule", ["opentad_bi.engine"])
EMAS = Kind("weight average", ["opentad_bi.engine"])
HOOKS = Kind("hook", ["opentad_bi.engine"])
