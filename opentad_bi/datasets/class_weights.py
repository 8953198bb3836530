"""Weights of classes, in the loss and in a draw.

C classes, N samples
"""

import numpy as np

from ..ops.names import class_key
from ..registry import nearest
from ..utils.validation import check_choice, check_number


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
        check_number(f"class_weights of {name!r}:", weight)
    return np.asarray(given, dtype=np.float32)


def balance(counts):
    """Weight of one sample of each class that makes all classes that have samples equally likely.  (C,) -> (C,)"""
    present = counts > 0
    return np.divide(1.0, counts * present.sum(), out=np.zeros(len(counts)), where=present)
