"""Learned vectors among the patches: how long they stand there, and that each is seen."""

import copy

import pytest
import torch
from close import close

from opentad_bi.models.clip.towers import ImageEncoder
from opentad_bi.registry import VISUAL_PROMPTS

DEPTHS = ("shallow", "throughout", "deep")


def build(**options):
    return VISUAL_PROMPTS.build({"type": "VisualContext", **options}, width=64, layers=2, frames=2, patch=16)


@pytest.fixture
def encoder(tiny_clip):
    return ImageEncoder(copy.deepcopy(tiny_clip.module)).requires_grad_(False)


@pytest.fixture
def frames():
    return torch.randn(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize("depth", DEPTHS)
def test_the_vectors_stand_where_the_depth_says(depth, encoder, frames):
    prompt, visual = build(n_ctx=3, depth=depth), encoder.visual
    table = prompt.ctx if depth == "deep" else prompt.ctx[None]
    assert table.shape == (2 if depth == "deep" else 1, 3, 64) and not prompt.whole_clips
    x = encoder.embed(frames.flatten(0, 1))  # 5 tokens of a frame
    x = visual.ln_pre(torch.cat([x, table[0].expand(4, -1, -1)], dim=1))
    x = visual.transformer.resblocks[0](x)
    if depth == "shallow":
        x = x[:, :5]
    elif depth == "deep":
        x = torch.cat([x[:, :5], table[1].expand(4, -1, -1)], dim=1)
    x = visual.transformer.resblocks[1](x)[:, :5]
    found, summaries = encoder.prompted(frames, [prompt])
    close(found.flatten(0, 1), encoder.readout(x))
    assert summaries == [None, None]


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_vector_has_a_gradient_and_none_is_none(depth, encoder, frames):
    prompt = build(n_ctx=3, depth=depth)
    encoder.prompted(frames, [prompt])[0].square().sum().backward()
    assert (prompt.ctx.grad.abs().amax(-1) > 0).all()
    empty = build(n_ctx=0, depth=depth)
    assert not list(empty.parameters())
    found = encoder.prompted(frames, [empty])[0]
    close(found.flatten(0, 1), encoder(frames.flatten(0, 1)))


def test_the_start_is_drawn_as_wide_as_said():
    assert build(n_ctx=200, init_std=0.5).ctx.std().item() == pytest.approx(0.5, rel=0.05)
    assert build(n_ctx=200).ctx.std().item() == pytest.approx(0.02, rel=0.05)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"depth 'deeep' .* did you mean 'deep'"):
        build(depth="deeep")
    for count in (-1, 2.5):
        with pytest.raises(ValueError, match=f"VisualContext: n_ctx {count} must be a whole number"):
            build(n_ctx=count)
