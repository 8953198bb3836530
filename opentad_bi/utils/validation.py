"""Checks of the values that a config gives a component, and of the numbers in batches and in files of weights.

A value is given back as it is, or an error names it; NaN and infinite numbers are an error that names the video, or the
file, and the tensor.

B samples of a batch
"""

import math
from collections.abc import Collection, Iterable, Sequence
from numbers import Real
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..contracts import sample_name
from ..errors import some
from ..registry import nearest
from .files import NameList, read_names

T = TypeVar("T")
Count = TypeVar("Count", int, int | None)
HALF_HINT = "float16 ends at 65504; run in full precision (solver.amp=None) or in bfloat16 (solver.amp=bf16)"


def check_classes(classes: NameList) -> list[str]:
    """Names of classes, given as a list or a file, as a list; ValueError for none or for one name twice."""
    names = read_names(classes, "classes")
    if not names:
        raise ValueError("classes are missing: give their names in the order of the labels")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"classes {', '.join(map(repr, twice))} are named twice in {names}")
    return names


def check_choice(where: str, value: T, choices: Collection[T]) -> T:
    """`value` if it is one of `choices`; ValueError naming `where` and all of them otherwise."""
    if value not in choices:
        raise ValueError(f"{where} {value!r} is not a choice; {nearest(value, choices, every=True)}")
    return value


def check_count(where: str, value: Count, *, lowest: int = 1, optional: bool = False) -> Count:
    """`value` if it is a whole number from `lowest` on, or None if `optional`; ValueError naming `where` otherwise."""
    if optional and value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        also = " or None" if optional else ""
        raise ValueError(f"{where} {value!r} must be a whole number of at least {lowest}{also}")
    return value


def check_number(where: str, value: float, *, positive: bool = False) -> float:
    """`value` if it is a finite number of at least 0, or above 0 if `positive`; ValueError naming `where` otherwise."""
    if not _finite_number(value) or value < 0 or (positive and value == 0):
        raise ValueError(f"{where} {value!r} must be a finite number {'above 0' if positive else 'of at least 0'}")
    return value


def check_share(where: str, value: float) -> float:
    """`value` if it is a number from 0 on and below 1; ValueError naming `where` otherwise."""
    if not _finite_number(value) or not 0 <= value < 1:
        raise ValueError(f"{where} {value!r} must be a number from 0 on and below 1")
    return value


def _finite_number(value):
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def check_finite(
    parts: Iterable[tuple[str, Tensor, Tensor | None]], videos: Sequence, model: nn.Module | None = None
) -> None:
    """Raise unless all numbers of a batch are finite; one transfer from the device.

    Args:
        parts: (name, tensor (B, ...), mask), in the order in which they are computed: the first one that is not finite
            is named. Numbers count where the mask, broadcast to the tensor, is True; None: all. Whole numbers are
            finite.
        videos: B samples, for the message: names, or what has the name as `video`.
        model: whose parameters are searched for the cause; None: none.
    Raises:
        ValueError: a number is NaN or infinite; names the video, the tensor and, where it is one, the parameter.
    """
    parts = [(name, tensor, mask) for name, tensor, mask in parts if _has_fractions(tensor)]
    if not parts:
        return
    flags = [_finite(tensor, mask).all() for _, tensor, mask in parts]
    flags = torch.stack([flag.to(flags[0].device) for flag in flags]).tolist()
    if all(flags):
        return
    name, tensor, mask = parts[flags.index(False)]
    wrong = ~_finite(tensor, mask).flatten(1) if tensor.dim() > 1 else ~_finite(tensor, mask)[:, None]
    rows = wrong.any(1).nonzero().flatten().tolist()
    named = list(dict.fromkeys(repr(sample_name(videos[row])) for row in rows))
    text = f"{name} are not finite: {int(wrong.sum())} of {wrong.numel()} numbers are NaN or infinite"
    raise ValueError(f"video{'s' if len(named) > 1 else ''} {some(named)}: {text}{_cause(name, tensor, model)}")


def input_parts(batch: dict, channels: int = -1, name: str = "inputs") -> list[tuple[str, Tensor, Tensor | None]]:
    """`batch["inputs"]` as a part for `check_finite`, if it is there.

    Args:
        batch: `inputs`, and perhaps `masks`: features count where it is True; others, such as frames, as a whole.
        channels: the axis of features that `masks` lacks.
        name: begins with "inputs".
    """
    inputs, mask = batch.get("inputs"), batch.get("masks")
    if inputs is None:
        return []
    return [(name, inputs, mask.unsqueeze(channels) if mask is not None and inputs.dim() == mask.dim() + 1 else None)]


def check_finite_weights(state: dict, source: str, own: dict | None = None) -> None:
    """Raise if weights hold a NaN or infinite number.

    Args:
        state: {name: tensor}; other values and whole numbers pass.
        source: the file, for the message.
        own: {name: tensor} of the network as it is built: infinities that it has in the same places, of a mask, pass.
    Raises:
        ValueError: names `source` and the tensors.
    """
    wrong = [name for name, tensor in state.items() if not _sound(tensor, None if own is None else own.get(name))]
    if wrong:
        several = "tensors hold" if len(wrong) > 1 else "tensor holds"
        raise ValueError(
            f"the weights of {source} are not finite: {len(wrong)} {several} NaN or infinite numbers: {some(wrong)}; "
            "the training that wrote them diverged, or the file is damaged; take an earlier checkpoint"
        )


def _has_fractions(value):
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _finite(tensor, mask):
    """True where a number is finite or does not count; of the shape of `tensor`."""
    finite = (tensor.float() if tensor.element_size() == 1 else tensor).isfinite()  # 8-bit floats cannot be asked
    return finite if mask is None else finite | ~mask


def _sound(tensor, own):
    if not _has_fractions(tensor):
        return True
    if own is not None and own.is_floating_point() and not tensor.is_complex():
        tensor = tensor.to(own.dtype)  # as it will be held: a number of float64 may be too large for float32
    finite = _finite(tensor, None)
    if finite.all():
        return True
    return own is not None and own.shape == tensor.shape and bool((finite | (tensor == own.to(tensor))).all())


def _cause(name, tensor, model):
    """What may be behind numbers that are not finite, as the end of a message."""
    if name.startswith("inputs"):
        return "; the file that they come from holds such numbers"
    wrong = [n for n, p in model.named_parameters() if not _sound(p.detach(), None)] if model is not None else []
    if wrong:
        return f"; the network's own weights are not: {some(wrong)}"
    kind = tensor.device.type
    half = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) is torch.float16
    if half or tensor.dtype is torch.float16:
        return f"; {HALF_HINT}"
    return "; the parameters are finite, so they or the inputs are too large" if model is not None else ""
