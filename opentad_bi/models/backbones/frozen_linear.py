"""Linear layers whose weight needs no gradient, by the faster of the two matrix libraries on a CPU."""

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

# ... any leading dimensions, I inputs, O outputs

_LIBRARY = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x, weight, bias=None):
    """The value of `F.linear`.  (..., I), (O, I), (O) -> (..., O)

    Float32 on a CPU with weights that need no gradient goes to oneDNN, which uses AVX-512 on every maker's
    processors (MKL, which PyTorch takes otherwise, does not); all else is `F.linear`.
    """
    if not _served(x, weight, bias):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and x.requires_grad:
        return _FrozenLinear.apply(x, weight, bias)
    return _product(x, weight, bias)


def _served(x, weight, bias):
    """Whether oneDNN can stand in: nothing to learn here, plain float32, CPU, neither autocast nor compilation."""
    if not (_LIBRARY and getattr(torch.backends.mkldnn, "enabled", True)) or torch.compiler.is_compiling():
        return False
    if x.device.type != "cpu" or {x.dtype, weight.dtype} != {torch.float32} or torch.is_autocast_enabled("cpu"):
        return False
    learns = weight.requires_grad or (bias is not None and bias.requires_grad)
    return not (learns and torch.is_grad_enabled())


def _product(x, weight, bias):
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _FrozenLinear(torch.autograd.Function):
    """x W^T + b with a gradient for x alone; keeps the weight, not x."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (weight,) = ctx.saved_tensors
        return _product(grad.contiguous(), weight.t(), None), None, None
