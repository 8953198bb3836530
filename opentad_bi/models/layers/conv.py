"""Convolution along time: with norm, activation and mask; channels-last in memory; and fast on a CPU.

For float32 on a CPU all goes through oneDNN, which multiplies matrices about twice as fast as the plain matrix product
on the CPUs we measured (AVX-512), and is reached through convolutions. Two of its cases are slow, and avoided here:
torch skips it on one thread for a kernel of one tap without dilation, and its gradient of the weights of a wider kernel
drops to a third on long sequences.

B batch, C and C' channels in and out, K taps, odd, T time, T' = ceil(T / stride)
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .norm import ChannelNorm

EPS = 1e-6
DILATION = (1, 2)  # of a kernel with one tap: no effect, but takes the fast path


class ConvUnit(nn.Module):
    """Masked convolution along time; what lies in the padding comes out as zero, but goes in as it is.

    Args:
        in_channels, out_channels, kernel_size, stride, groups: as for `nn.Conv1d`; kernels are odd and centred.
        norm: normalise over channels (the convolution then has no bias).
        act: apply ReLU at the end.
        bias: give the convolution a bias; never with `norm`.
        eps: of the normalisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        groups: int = 1,
        norm: bool = True,
        act: bool = True,
        bias: bool = True,
        eps: float = EPS,
    ) -> None:
        super().__init__()
        bias = bias and not norm
        self.conv = TimeConv(in_channels, out_channels, kernel_size, stride=stride, groups=groups, bias=bias)
        self.norm = ChannelNorm(out_channels, eps=eps) if norm else None
        self.act = act

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, T), (B, T) bool -> (B, C', T'), (B, T') bool."""
        x = self.conv(x)
        mask = mask[:, :: self.conv.stride[0]]
        if self.norm is not None:
            x = self.norm(x)
        if self.act:
            x = F.relu(x)
        # normalisation acts on each position alone, so masking once, at the end, is enough
        return x * mask[:, None].to(x.dtype), mask


class TimeConv(nn.Conv1d):
    """`nn.Conv1d` with a centred kernel, computed in the memory layout of its input; channels-last is fast.

    In that layout normalisation over channels, attention heads and depth-wise kernels read memory in order.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        padding = kernel_size // 2
        super().__init__(
            in_channels, out_channels, kernel_size, stride=stride, padding=padding, groups=groups, bias=bias
        )
        self.dense = stride == 1 and groups == 1 and kernel_size % 2 == 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C', T')"""
        if self.dense and _plain_cpu(x):
            return same_conv(x, self.weight, self.bias)
        if self.dense and self.kernel_size == (1,):
            return F.linear(x.transpose(1, 2), self.weight.squeeze(2), self.bias).transpose(1, 2)
        stride, padding = (1, *self.stride), (0, *self.padding)
        x = F.conv2d(x.unsqueeze(2), self.weight.unsqueeze(2), self.bias, stride, padding, groups=self.groups)
        return x.squeeze(2)


def _plain_cpu(x):
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def channels_last(x: Tensor) -> Tensor:
    """The same sequence with its channels side by side in memory.  (B, C, T) -> (B, C, T)"""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def same_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolution that keeps the length.  (B, C, T), (C', C, K), (C') or None -> (B, C', T)"""
    return _SameConv.apply(x, weight, bias)


class _SameConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        padding, dilation = _geometry(weight)
        out = F.conv2d(x.unsqueeze(2), weight.unsqueeze(2), bias, 1, padding, dilation)
        return out.squeeze(2)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        need_x, need_weight, need_bias = ctx.needs_input_grad
        grad_x = _input_gradient(grad, x, weight) if need_x else None
        grad_weight = _weight_gradient(grad, x, weight.shape[2]) if need_weight else None
        return grad_x, grad_weight, grad.sum((0, 2)) if need_bias else None


def _geometry(weight):
    """Padding and dilation, both (height, time), of a kernel (C', C, K)."""
    taps = weight.shape[2]
    return (0, taps // 2), DILATION if taps == 1 else (1, 1)


def _input_gradient(grad, x, weight):
    """(B, C', T), (B, C, T), (C', C, K) -> (B, C, T)"""
    padding, dilation = _geometry(weight)
    grad, x, weight = grad.unsqueeze(2), x.unsqueeze(2), weight.unsqueeze(2)
    return _backward(grad, x, weight, padding, dilation, (True, False, False))[0].squeeze(2)


def _weight_gradient(grad, x, taps):
    """One matrix product per tap.  (B, C', T), (B, C, T) -> (C', C, K)"""
    length, pad = x.shape[2], taps // 2
    rows = grad.transpose(1, 2).reshape(-1, grad.shape[1])
    padded = F.pad(x.transpose(1, 2), (0, 0, pad, pad))
    shifted = (padded[:, tap : tap + length].reshape(-1, x.shape[1]) for tap in range(taps))
    return torch.stack([_transposed_product(rows, columns) for columns in shifted], dim=2)


def _transposed_product(a, b):
    """a^T b, as the gradient of a point-wise convolution.  (N, C'), (N, C) -> (C', C)"""
    weight = a.new_empty(a.shape[1], b.shape[1], 1, 1)
    a, b = (rows[None].transpose(1, 2).unsqueeze(2) for rows in (a, b))  # channels-last, by the strides
    return _backward(a, b, weight, (0, 0), DILATION, (False, True, False))[1][:, :, 0, 0]


def _backward(grad, x, weight, padding, dilation, mask):
    return torch.ops.aten.convolution_backward(grad, x, weight, None, (1, 1), padding, dilation, False, (0, 0), 1, mask)
