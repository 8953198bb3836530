import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.models.projections.attention import global_attention, local_attention

HEADS, WIDTH = 2, 4


def tensors(batch, length, seed):
    generator = torch.Generator().manual_seed(seed)
    make = lambda: torch.randn(batch, length, HEADS, WIDTH, generator=generator, requires_grad=True)  # noqa: E731
    return make(), make(), make()


def dense(query, key, value, mask, reach):
    """Softmax over the whole table of logits; `reach` None for no band."""
    logits = torch.einsum("bihd,bjhd->bhij", query, key) / WIDTH**0.5
    position = torch.arange(query.shape[1])
    allowed = mask[:, None, None]
    if reach is not None:
        allowed = allowed & ((position[:, None] - position).abs() <= reach)
    weights = logits.masked_fill(~allowed, -torch.inf).softmax(-1).nan_to_num(0)
    return torch.einsum("bhij,bjhd->bihd", weights, value)


def check(ours, theirs, mask, inputs):
    keep = mask[..., None, None]
    close(ours * keep, theirs * keep, ulps=1024)
    assert torch.isfinite(ours).all()
    weight = torch.randn_like(ours) * keep
    for a, b in zip(
        torch.autograd.grad((ours * weight).sum(), inputs),
        torch.autograd.grad((theirs * weight).sum(), inputs),
        strict=True,
    ):
        close(a, b, ulps=1024, scale=max(x.abs().max().item() for x in inputs))


@given(st.integers(1, 90), st.integers(2, 41), st.integers(0, 90), st.integers(0, 99))
def test_local_attention_is_banded_softmax(length, window, valid, seed):
    mask = torch.arange(length) < torch.tensor([[length], [min(valid, length)]])
    inputs = tensors(2, length, seed)
    check(local_attention(*inputs, mask, window), dense(*inputs, mask, window // 2), mask, inputs)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_global_attention_sees_all_that_is_not_padding(length, valid, seed):
    mask = torch.arange(length) < torch.tensor([[length], [min(valid, length)]])
    inputs = tensors(2, length, seed)
    check(global_attention(*inputs, mask), dense(*inputs, mask, None), mask, inputs)


def test_local_attention_survives_half_precision_and_samples_of_padding():
    mask = torch.arange(40) < torch.tensor([[0], [3]])
    inputs = [x.detach().bfloat16() for x in tensors(2, 40, 0)]
    assert torch.isfinite(local_attention(*inputs, mask, 9)).all()
