"""The transformer over time starts as the mean, sees the order, and sees no padding."""

import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.registry import POOLINGS


def build(started=False):
    torch.manual_seed(0)
    pooling = POOLINGS.build({"type": "TransformerPooling", "heads": 2}, width=8, frames=6)
    if started:
        torch.nn.init.normal_(pooling.out.weight, std=0.3)
    return pooling


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_padding_is_not_seen(lengths, seed):
    pooling, longest = build(started=True), max(lengths)
    features = torch.randn(len(lengths), longest, 8, generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    features = torch.where(mask[:, :, None], features, torch.tensor(1e3))
    for mode in (True, False):
        found = pooling.train(mode)(features, mask)
        for row, length in enumerate(lengths):
            alone = pooling(features[row : row + 1, :length])[0]
            close(found[row], alone, ulps=1024)


def test_it_starts_as_the_mean_and_then_learns_the_order():
    features = torch.randn(3, 5, 8)
    assert torch.equal(build()(features), features.mean(1))
    pooling = build(started=True)
    assert (pooling(features) - pooling(features.flip(1))).abs().max() > 1e-5
    pooling(features).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for name, p in pooling.named_parameters())


@torch.no_grad()
def test_every_layer_norms_what_it_looks_at_and_adds_what_it_finds():
    pooling, features = build(started=True), torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))
    for name, parameter in pooling.named_parameters():
        if "norm" in name:
            parameter.add_(torch.rand_like(parameter))
    x = features + pooling.positions[:5]
    for layer in pooling.encoder.layers:
        normed = layer.norm1(x)
        x = x + layer.self_attn(normed, normed, normed)[0]
        x = x + layer.linear2(layer.linear1(layer.norm2(x)).relu())
    expected = (features + pooling.out(pooling.encoder.norm(x))).mean(1)
    close(pooling(features), expected, ulps=1024)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="a sequence of 7 steps is longer than the 6"):
        build()(torch.randn(1, 7, 8))
    with pytest.raises(ValueError, match="width of 8 cannot be split into 3 heads"):
        POOLINGS.build({"type": "TransformerPooling", "heads": 3}, width=8, frames=6)
