"""Optimizers: torch's own by their names, with the parameter groups detectors are trained with."""

import torch
from torch import nn

from ..registry import OPTIMIZERS, check_keys

for _cls in vars(torch.optim).values():
    if isinstance(_cls, type) and issubclass(_cls, torch.optim.Optimizer) and _cls is not torch.optim.Optimizer:
        OPTIMIZERS.register_module(module=_cls)

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TABLES = ("embedding", "position")  # parts of the names of parameters that are looked up, not multiplied by
_BACKBONE_KEYS = ("lr", "weight_decay", "custom", "exclude")


def build_optimizer(module, cfg):
    """Build the optimizer of one branch over its trainable parameters.

    Args:
        module: the branch's network.
        cfg: dict(type, lr, weight_decay, ...) of the optimizer itself, and
            `paramwise` (False): no weight decay on biases, norms, and free parameters such as scales;
            `decay_matrices` (False), in its place: weight decay on all that a network multiplies by, free parameters
            such as `in_proj_weight` and projections included, and none on biases, norms, scales and tables of
            embeddings or positions;
            `backbone` (None): settings for the parameters below `module.backbone`: `lr` and `weight_decay` of the
            rest, `custom`, a list of dict(name, lr, weight_decay) that takes the parameters whose names contain
            `name` (first match wins), and `exclude`, name parts that keep a parameter out of the rest.
    Returns:
        the optimizer, or None if nothing is trainable. Groups stand in this order: rest of the backbone, one per
        `custom`, then the others (with decay, without decay).
    Raises:
        ValueError: a trainable parameter falls in no group, or a `custom` name matches nothing; both `paramwise` and
            `decay_matrices`.
    """
    cfg = dict(cfg)
    paramwise, backbone = cfg.pop("paramwise", False), cfg.pop("backbone", None)
    decayed = _matrices if cfg.pop("decay_matrices", False) else _layer_weights if paramwise else None
    if paramwise and decayed is _matrices:
        raise ValueError("optimizer.paramwise and optimizer.decay_matrices exclude each other")
    trainable = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not trainable:
        return None
    inside = {name: p for name, p in trainable.items() if name.startswith("backbone.")}
    outside = {name: p for name, p in trainable.items() if name not in inside}
    if backbone is None:
        if inside and hasattr(module, "backbone") and decayed:
            raise ValueError(
                f"{len(inside)} parameters of the backbone are trainable, such as {next(iter(inside))}, but "
                "optimizer.backbone does not say how; give optimizer.backbone or freeze them by `trainable`"
            )
        outside, inside = trainable, {}
    groups = _backbone_groups(inside, backbone or {}) if inside else []
    groups += _split_by_decay(decayed(module), outside, cfg) if decayed else [{"params": list(outside.values())}]
    try:
        return OPTIMIZERS.build(cfg, params=[group for group in groups if group["params"]])
    except ValueError as error:  # torch names neither the optimizer nor the key
        raise ValueError(f"optimizer {cfg.get('type')}: {error}") from error


def _backbone_groups(inside, cfg):
    """Parameter groups below `module.backbone`, as described in `build_optimizer`."""
    check_keys("optimizer.backbone", cfg, _BACKBONE_KEYS)
    left, groups = dict(inside), []
    for custom in cfg.get("custom", []):
        taken = [name for name in left if custom["name"] in name.removeprefix("backbone.")]
        if not taken:
            raise ValueError(f"optimizer.backbone.custom {custom['name']!r} matches no trainable parameter")
        groups.append(
            {
                "params": [left.pop(name) for name in taken],
                "lr": custom["lr"],
                "weight_decay": custom["weight_decay"],
            }
        )
    forgotten = [name for name in left if any(part in name for part in cfg.get("exclude", []))]
    if forgotten:
        raise ValueError(
            f"trainable but in no parameter group: {', '.join(forgotten[:5])} ({len(forgotten)} in all); "
            "freeze them by `trainable` or give them a group in optimizer.backbone"
        )
    if left:
        rest = {"params": list(left.values()), "lr": cfg["lr"], "weight_decay": cfg["weight_decay"]}
        groups.insert(0, rest)
    return groups


def _layer_weights(module):
    """Names of the weights of linear and convolution layers."""
    return _weights_of(module, _WEIGHTED)


def _matrices(module):
    """Names of the parameters of two or more dimensions that are no tables."""
    looked_up = _weights_of(module, nn.Embedding)
    matrices = {name for name, parameter in module.named_parameters() if parameter.ndim > 1}
    return {name for name in matrices - looked_up if not any(part in name.rpartition(".")[2] for part in _TABLES)}


def _weights_of(module, kinds):
    return {
        f"{name}.weight" if name else "weight" for name, child in module.named_modules() if isinstance(child, kinds)
    }


def _split_by_decay(weights, parameters, cfg):
    """Two groups of `parameters`: those whose names are in `weights`, and all others without weight decay."""
    decay = [parameters[name] for name in sorted(parameters) if name in weights]
    no_decay = [parameters[name] for name in sorted(parameters) if name not in weights]
    return [
        {"params": decay, "weight_decay": cfg.get("weight_decay", 0.0)},
        {"params": no_decay, "weight_decay": 0.0},
    ]
