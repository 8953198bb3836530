"""Mixed precision, as `solver.amp` of a config asks for it."""

from contextlib import nullcontext
from functools import partial

import torch

PRECISIONS = {None: None, False: None, "fp16": torch.float16, True: torch.float16, "bf16": torch.bfloat16}


def precision(amp):
    """The dtype of `solver.amp`: "fp16" (also True), "bf16", or None (also False) for none."""
    if isinstance(amp, (dict, list)) or amp not in PRECISIONS:
        raise ValueError(f"solver.amp {amp!r} is not one of 'fp16', 'bf16', None")
    return PRECISIONS[amp]


def autocast(device, dtype):
    """A function that returns the autocast context of `dtype` on `device`, or that of none for None."""
    return partial(torch.autocast, device.type, dtype=dtype) if dtype else nullcontext
