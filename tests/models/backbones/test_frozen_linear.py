"""Linear layers of frozen weights: the values and gradients of the plain one."""

import pytest
import torch
import torch.nn.functional as F
from close import close
from hypothesis import given, settings
from hypothesis import strategies as st

from opentad_bi.models.backbones.adapters import linear


@settings(max_examples=30, deadline=None)
@given(
    leading=st.lists(st.integers(1, 4), min_size=0, max_size=3),
    inputs=st.integers(1, 40),
    outputs=st.integers(1, 40),
    bias=st.booleans(),
    learns=st.booleans(),
)
def test_values_and_gradients_are_those_of_the_plain_layer(leading, inputs, outputs, bias, learns):
    torch.manual_seed(inputs * 41 + outputs)
    x = torch.randn(*leading, inputs, requires_grad=True)
    weight = torch.randn(outputs, inputs, requires_grad=learns)
    b = torch.randn(outputs) if bias else None
    ours, plain = linear(x, weight, b), F.linear(x, weight, b)
    close(ours, plain, ulps=1024)
    seed = torch.randn_like(plain)
    wanted = (x, weight) if learns else (x,)
    for one, other in zip(
        torch.autograd.grad(ours, wanted, seed), torch.autograd.grad(plain, wanted, seed), strict=True
    ):
        close(one, other, ulps=1024)


def test_gradient_may_come_expanded():
    x = torch.randn(3, 4, requires_grad=True)
    weight = torch.randn(5, 4)
    linear(x, weight).sum().backward()
    close(x.grad, weight.sum(0).expand(3, 4))


def test_input_is_not_kept():
    x = torch.randn(6, 4, requires_grad=True)
    weight, kept = torch.randn(5, 4), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        linear(x, weight, torch.zeros(5))
    assert (6, 4) not in kept


def test_other_precisions_and_devices_take_the_plain_layer():
    weight = torch.randn(5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(torch.randn(6, 4), weight).dtype == torch.bfloat16
    assert linear(torch.randn(6, 4).double(), weight.double()).dtype == torch.float64
    assert linear(torch.empty(6, 4, device="meta"), weight.to("meta")).shape == (6, 5)


@pytest.mark.parametrize("grad", [True, False])
def test_result_needs_gradients_only_where_something_learns(grad):
    x = torch.randn(3, 4, requires_grad=grad)
    assert linear(x, torch.randn(5, 4)).requires_grad == grad
