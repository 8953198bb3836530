"""Are two results the same but for rounding?

In which order a sum is added up, and whether a product is rounded before it is added, depends on the CPU and on the
shape of the batch. So what was computed in two ways is compared by this; what is promised to the bit, by `torch.equal`.
"""

import numpy as np
import torch


def close(found, expected, ulps=256, scale=None, msg=""):
    """Assert that tensors, arrays or numbers, or lists or dicts of them, are equal but for rounding.

    An element may be off by `ulps` units in the last place of the largest element of `expected`, as rounding errors are
    as large as the numbers that were added up, not as their sum. Shapes must be the same.

    Args:
        found, expected: what was computed in two ways; of two dtypes the coarser one counts.
        ulps: allowed difference: 256 are 3e-5 of the largest element in float32, 6e-14 in float64.
        scale: the size of the largest number that took part, where `expected` is what is left of larger ones.
        msg: what is compared.
    """
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), msg
        for key in expected:
            close(found[key], expected[key], ulps, scale, f"{msg} {key}")
        return
    if isinstance(expected, (list, tuple)) and not all(isinstance(x, (int, float)) for x in expected):
        for place, (one, other) in enumerate(zip(found, expected, strict=True)):
            close(one, other, ulps, scale, f"{msg} [{place}]")
        return
    found, expected = _tensor(found), _tensor(expected)
    eps = max((torch.finfo(x.dtype).eps for x in (found, expected) if x.is_floating_point()), default=0)
    if scale is None:
        scale = expected[expected.isfinite()].abs().amax().item() if expected.isfinite().any() else 0
    found, expected = found.double(), expected.double()
    torch.testing.assert_close(
        found, expected, rtol=0, atol=ulps * eps * scale, msg=lambda text: f"{msg} within {ulps} ulps: {text}"
    )


def _tensor(x):
    """`x` on the CPU, without gradient; plain numbers as float64."""
    return x.detach().cpu() if isinstance(x, torch.Tensor) else torch.from_numpy(np.array(x))
