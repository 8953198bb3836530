"""The adapters of AdaTAD: small trainable modules in a frozen video transformer (Liu et al., CVPR 2024, section 3.3).

Around them most linear layers are frozen: `linear` runs those by the faster of the two matrix libraries on a CPU.

K clips of all videos, N tokens of a clip = t*h*w, D width, r inner width, T tokens along the time of a video
In `linear`: ... any leading dimensions, I inputs, O outputs
"""

import contextlib
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_POINTWISE: Any = None
with contextlib.suppress(AttributeError):  # a private operator of torch, which other versions may not have
    _POINTWISE = torch.ops.mkldnn._linear_pointwise
_LIBRARY = torch.backends.mkldnn.is_available() and _POINTWISE is not None


class PlainAdapter(nn.Module):
    """Bottleneck without a look along time: x + gamma * up(GELU(down(x))); the identity at the start.

    Args:
        embed_dims: width D of the tokens.
        mlp_ratio: inner width r as a fraction of D.
    """

    def __init__(self, embed_dims: int, mlp_ratio: float = 0.25) -> None:
        super().__init__()
        inner = int(embed_dims * mlp_ratio)
        self.gamma = nn.Parameter(torch.ones(1))
        self._build_mixer(inner)
        self.down_proj = Linear(embed_dims, inner)
        self.up_proj = nn.Linear(inner, embed_dims)
        nn.init.trunc_normal_(self.down_proj.weight, std=0.02)
        for zero in (self.down_proj.bias, self.up_proj.weight, self.up_proj.bias):
            nn.init.zeros_(zero)

    def _build_mixer(self, inner):
        """Make what `mix` needs; here nothing."""

    def mix(self, z: Tensor, h: int, w: int) -> Tensor:
        """Change the inner tokens before they go up; here not at all.  (K, N, r) -> (K, N, r)"""
        return z

    def forward(self, x: Tensor, h: int, w: int) -> Tensor:
        """(K, N, D) tokens in (t, h, w) order -> (K, N, D)."""
        z = self.mix(F.gelu(self.down_proj(x)), h, w)
        # gamma goes into the small weight: a product with the whole map would have to be kept for its gradient
        up = self.up_proj
        return x + linear(z, self.gamma * up.weight, self.gamma * up.bias)


class Adapter(PlainAdapter):
    """Temporal-informative adapter: the bottleneck sees its neighbours in time, across the clips of a video.

    Args:
        embed_dims, mlp_ratio: as for `PlainAdapter`.
        kernel_size: steps along time that one token sees, odd.
        dilation: distance of these steps.
        temporal_size: tokens along time T of one video; its clips lie one after another in the batch.
    Raises:
        ValueError: in `forward`, if the tokens do not make whole videos.
    """

    def __init__(
        self,
        embed_dims: int,
        mlp_ratio: float = 0.25,
        *,
        kernel_size: int = 3,
        dilation: int = 1,
        temporal_size: int = 384,
    ) -> None:
        self.kernel_size, self.dilation, self.temporal_size = kernel_size, dilation, temporal_size
        super().__init__(embed_dims, mlp_ratio)

    def _build_mixer(self, inner):
        self.dwconv = nn.Conv1d(inner, inner, self.kernel_size, groups=inner)
        self.conv = nn.Conv1d(inner, inner, 1)
        nn.init.normal_(self.dwconv.weight, std=math.sqrt(2 / self.kernel_size))
        nn.init.normal_(self.conv.weight, std=math.sqrt(2 / inner))
        nn.init.zeros_(self.dwconv.bias)
        nn.init.zeros_(self.conv.bias)

    def mix(self, z: Tensor, h: int, w: int) -> Tensor:
        """Add what a depth-wise, then a point-wise convolution along time make.  (K, N, r) -> (K, N, r)"""
        clips, tokens, inner = z.shape
        if clips * tokens % (self.temporal_size * h * w):
            raise ValueError(
                f"{clips} clips of {tokens} tokens are {clips * tokens / (h * w):g} steps along time, "
                f"not a multiple of the {self.temporal_size} of one video; see total_frames"
            )
        # channels are last already, so an image of (time, place) in channels-last layout costs no copy
        image = z.view(-1, self.temporal_size, h * w, inner).permute(0, 3, 1, 2)
        pad = self.dilation * (self.kernel_size - 1) // 2
        depthwise = self.dwconv
        u = F.conv2d(
            image,
            depthwise.weight[..., None],
            depthwise.bias,
            padding=(pad, 0),
            dilation=(self.dilation, 1),
            groups=inner,
        )
        u = u.permute(0, 2, 3, 1).reshape(clips, tokens, inner)
        return z + linear(u, self.conv.weight[..., 0], self.conv.bias)


class Linear(nn.Linear):
    """`nn.Linear` by the function `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)"""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
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
    if not (_LIBRARY and torch.backends.mkldnn.enabled) or torch.compiler.is_compiling():
        return False
    if x.device.type != "cpu" or {x.dtype, weight.dtype} != {torch.float32} or torch.is_autocast_enabled("cpu"):
        return False
    learns = weight.requires_grad or (bias is not None and bias.requires_grad)
    return not (learns and torch.is_grad_enabled())


def _product(x, weight, bias):
    return _POINTWISE(x, weight, bias, "none", [], "")


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
