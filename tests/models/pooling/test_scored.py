"""The scored mean starts as the mean, learns to weigh, and sees no padding."""

import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.registry import POOLINGS

SCORED = {"type": "ScoredPooling", "hidden": 6}


def build(started=False):
    torch.manual_seed(0)
    pooling = POOLINGS.build(SCORED, width=8)
    if started:
        torch.nn.init.normal_(pooling.score[-1].weight)
    return pooling


def test_it_starts_as_the_mean_and_then_weighs():
    features = torch.randn(3, 5, 8)
    close(build()(features), features.mean(1))
    pooling = build(started=True)
    assert (pooling(features) - features.mean(1)).abs().max() > 1e-3
    loss = build()
    loss(features).square().sum().backward()
    assert loss.score[-1].weight.grad.abs().max() > 0


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_padding_is_not_seen(lengths, seed):
    pooling, longest = build(started=True), max(lengths)
    features = torch.randn(len(lengths), longest, 8, generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    found = pooling(torch.where(mask[:, :, None], features, torch.tensor(1e3)), mask)
    for row, length in enumerate(lengths):
        alone = pooling(features[row : row + 1, :length])[0]
        close(found[row], alone, ulps=1024)


def test_the_transformer_may_read_out_by_it_and_starts_as_the_mean_still():
    cfg = {"type": "TransformerPooling", "heads": 2, "dropout": 0.1, "activation": "gelu", "readout": SCORED}
    pooling, features = POOLINGS.build(cfg, width=8, frames=5), torch.randn(3, 5, 8)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])
    for mode in (True, False):
        found = pooling.train(mode)(features, mask)
        for row in range(3):
            close(found[row], features[row, mask[row]].mean(0))
    assert pooling.encoder.layers[0].dropout.p == pytest.approx(0.1)
