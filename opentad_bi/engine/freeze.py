"""What trains is declared by name patterns; the rest is frozen, and frozen modules are in eval mode."""

from fnmatch import fnmatchcase


def apply_trainable(module, patterns):
    """Leave only the parameters that match one of `patterns` trainable.

    Args:
        module: the network of a branch.
        patterns: shell-style patterns on parameter names ("projection.*"), or None for all of them.
    Returns:
        (trainable, total): numbers of elements.
    Raises:
        ValueError: a pattern matches no parameter; what would train is no part of the state dict, so that it were lost.
    """
    named = dict(module.named_parameters())
    if patterns is not None:
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in named):
                examples = ", ".join(list(named)[:3])
                raise ValueError(f"trainable pattern {pattern!r} matches no parameter; names are like {examples}")
        for name, parameter in named.items():
            parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in patterns))
    saved = dict.fromkeys(module.state_dict())
    if lost := [name for name, parameter in named.items() if parameter.requires_grad and name not in saved]:
        raise ValueError(
            f"{len(lost)} parameters would train but are no part of a checkpoint, such as {lost[0]}: that network "
            f"never trains; name by `trainable` what shall, with patterns of names such as {next(iter(saved), 'none')}"
        )
    sizes = [(p.numel(), p.requires_grad) for p in named.values()]
    return sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)


def train_mode(module):
    """`module.train()`, but every sub-module that owns parameters, all of them frozen, is put in eval mode.

    A module without parameters (drop path, dropout) follows the module that holds it.
    """
    module.train()
    _eval_frozen(module)


def _eval_frozen(module):
    parameters = list(module.parameters())
    if not parameters:
        return
    if not any(p.requires_grad for p in parameters):
        module.eval()
        return
    for child in module.children():
        _eval_frozen(child)
