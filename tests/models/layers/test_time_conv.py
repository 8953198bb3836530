import pytest
import torch
from close import close
from torch import nn

from opentad_bi.models.layers.conv import ConvUnit, TimeConv, channels_last
from opentad_bi.models.layers.norm import ChannelNorm


def gradients(out, inputs):
    weight = torch.arange(out.numel(), dtype=out.dtype).sin().view_as(out)
    return torch.autograd.grad((out * weight).sum(), inputs)


@pytest.mark.parametrize("layout", [channels_last, torch.Tensor.contiguous])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (3, 1, 1), (5, 1, 1), (3, 2, 6), (3, 1, 6)])
@pytest.mark.parametrize(("batch", "length"), [(2, 16), (1, 7), (3, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_plain_convolution(layout, bias, kernel, stride, groups, batch, length, dtype):
    torch.manual_seed(0)
    conv = TimeConv(6, 12, kernel, stride=stride, groups=groups, bias=bias).to(dtype)
    x = layout(torch.randn(batch, 6, length, dtype=dtype)).requires_grad_()
    inputs = [x, *conv.parameters()]
    out, expected = conv(x), nn.Conv1d.forward(conv, x)
    close(out, expected)
    close(gradients(out, inputs), gradients(expected, inputs), ulps=1024)


def test_only_the_gradients_asked_for():
    conv = TimeConv(4, 4, 3)
    x = torch.randn(1, 4, 8)
    conv(x).sum().backward()
    assert conv.weight.grad is not None and x.grad is None
    conv.requires_grad_(False)
    conv(x.requires_grad_()).sum().backward()
    assert x.grad is not None


def test_stays_channels_last():
    x = channels_last(torch.randn(2, 4, 10))
    for conv in (TimeConv(4, 4, 1), TimeConv(4, 4, 3), TimeConv(4, 4, 3, groups=4, stride=2)):
        assert conv(x).transpose(1, 2).is_contiguous()
    assert ChannelNorm(4)(x).transpose(1, 2).is_contiguous()


def test_runs_under_autocast():
    conv = TimeConv(4, 4, 3)
    x = channels_last(torch.randn(2, 4, 10))
    with torch.autocast("cpu", torch.bfloat16):
        out = conv(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), conv(x), atol=0.1, rtol=0.1)
    out.sum().backward()
    assert conv.weight.grad.dtype == torch.float32


def test_padding_comes_out_as_zero_and_its_values_reach_one_step_only():
    torch.manual_seed(0)
    unit = ConvUnit(3, 5)
    mask = torch.arange(12)[None] < 7
    x = torch.randn(1, 3, 12)
    changed = x.clone()
    changed[..., 8:] = 9.0
    (out, _), (other, _) = unit(x, mask), unit(changed, mask)
    assert not out[..., 7:].any()
    close(out, other)
    changed[..., 7] = 9.0
    assert not torch.allclose(out[..., 6], unit(changed, mask)[0][..., 6])
