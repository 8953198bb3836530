"""Check and resolve the options of a dataset of features that need no file.

C classes, N samples
"""

import math
from numbers import Real

import numpy as np

from ..ops.video_names import class_key
from ..registry import nearest


def check_choice(name, value, choices):
    """Raise a ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} {value!r}: {nearest(value, choices, every=True)}")


def check_count(name, value, *, optional=False):
    """Raise a ValueError unless `value` is a whole number from 1 on, or None if `optional`."""
    if not (optional and value is None) and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{name} {value!r} is not a whole number from 1 on" + (" or None" if optional else ""))


def check_overlap(value):
    """Raise a ValueError unless `value` is in [0, 1)."""
    if not isinstance(value, Real) or not 0 <= value < 1:
        raise ValueError(f"overlap_ratio {value!r} is not in [0, 1)")


def find_normal(normal_class, names, *, needed):
    """Label of the class without anomalies, or None; a ValueError if there is none but it is `needed`."""
    keys = [class_key(name) for name in names]
    if class_key(normal_class) in keys:
        return keys.index(class_key(normal_class))
    if needed:
        raise ValueError(f"normal_class {normal_class!r} is no class; {nearest(normal_class, names, every=True)}")
    return None


def class_weights(given, names, counts):
    """Resolve the option `class_weights`.

    Args:
        given: None, "balanced" (inverse to the number of samples, the mean over samples is 1), {class: weight} (1 for
            a class that is not named), or C weights.
        names: C names.
        counts: (C,) number of samples.
    Returns:
        float32 (C,), or None.
    """
    if given is None:
        return None
    if isinstance(given, str):
        check_choice("class_weights", given, ("balanced",))
        return (balance(counts) * counts.sum()).astype(np.float32)
    if isinstance(given, dict):
        own = {class_key(name): weight for name, weight in given.items()}
        for name in given:
            if class_key(name) not in map(class_key, names):
                raise ValueError(f"class_weights: {name!r} is no class; {nearest(name, names, every=True)}")
        given = [own.get(class_key(name), 1.0) for name in names]
    if len(given) != len(names):
        raise ValueError(f"class_weights: {len(given)} weights for {len(names)} classes")
    for name, weight in zip(names, given, strict=True):
        if not isinstance(weight, Real) or not math.isfinite(weight) or weight < 0:
            raise ValueError(f"class_weights: {weight!r} of {name!r} is not a number from 0 on")
    return np.asarray(given, dtype=np.float32)


def balance(counts):
    """Weight of one sample of each class that makes all classes that have samples equally likely.  (C,) -> (C,)"""
    present = counts > 0
    return np.divide(1.0, counts * present.sum(), out=np.zeros(len(counts)), where=present)
