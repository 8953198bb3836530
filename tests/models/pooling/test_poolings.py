"""Temporal poolings: padding is not seen, and each is what its name says."""

import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.registry import POOLINGS

CONFIGS = [
    {"type": "MeanPooling"},
    {"type": "MaxPooling"},
    {"type": "AttentionPooling"},
    {"type": "AttentionPooling", "heads": 4, "residual": True},
]


def build(cfg, gain=0.3):
    pooling = POOLINGS.build(cfg, width=8)
    if getattr(pooling, "gain", None) is not None:
        torch.nn.init.constant_(pooling.gain, gain)
    return pooling


@pytest.mark.parametrize("cfg", CONFIGS, ids=str)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_padding_is_not_seen(cfg, lengths, seed):
    torch.manual_seed(seed)
    pooling, longest = build(cfg), max(lengths)
    features = torch.randn(len(lengths), longest, 8)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    features = torch.where(mask[:, :, None], features, torch.tensor(1e4))
    found = pooling(features, mask)
    for row, length in enumerate(lengths):
        close(found[row], pooling(features[row : row + 1, :length])[0])


@pytest.mark.parametrize("cfg", CONFIGS, ids=str)
@given(order=st.permutations(range(5)), seed=st.integers(0, 99))
def test_the_order_of_the_steps_does_not_matter(cfg, order, seed):
    torch.manual_seed(seed)
    pooling, features = build(cfg), torch.randn(2, 5, 8)
    close(pooling(features), pooling(features[:, order]), ulps=1024)


def test_one_step_is_given_as_it_is_by_mean_and_max():
    features = torch.randn(3, 1, 8)
    for name in ("MeanPooling", "MaxPooling"):
        assert torch.equal(POOLINGS.build({"type": name})(features), features[:, 0])


def test_the_residual_form_starts_as_the_mean_and_learns():
    pooling, features = build(CONFIGS[3], gain=0.0), torch.randn(2, 4, 8)
    assert torch.equal(pooling(features), features.mean(1))
    pooling(features).square().sum().backward()
    assert pooling.gain.grad != 0
