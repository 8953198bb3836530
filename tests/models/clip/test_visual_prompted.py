"""Tokens put into the visual tower act as if they stood in the sequence, and are gone when they should be."""

import copy

import pytest
import torch
from close import close
from torch import nn

from opentad_bi.models.clip.towers import ImageEncoder
from opentad_bi.models.prompts.visual_prompts import VisualPrompt

M, T, D = 2, 3, 64


class Given(VisualPrompt):
    """Gives what it was made with: `stay` and `first` (P, D), `more` {layer: tokens}, and class tokens as a summary."""

    def __init__(self, stay=None, first=None, more=None, summary=False):
        super().__init__()
        self.stay, self.first, self.more, self.summary = stay, first, more or {}, summary

    def enter(self, x):
        return x if self.stay is None else torch.cat([x, self.stay.expand(*x.shape[:2], -1, -1)], dim=2)

    def shallow(self):
        return self.first

    def beside(self, layer, x):
        return self.more.get(layer), x[:, :, 0] if self.summary else None


def tokens(*shape):
    return torch.randn(*shape, D, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture
def frames():
    return torch.randn(M, T, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=["tok", "avg"])
def encoder(request, tiny_clip):
    module = copy.deepcopy(tiny_clip.module)
    module.visual.pool_type = request.param
    generator = torch.Generator().manual_seed(0)
    for norm in (part for part in module.visual.modules() if isinstance(part, nn.LayerNorm)):
        norm.weight.data.uniform_(0.5, 2.0, generator=generator)  # at 1 and 0, a norm left out would hardly show
        norm.bias.data.normal_(generator=generator)
    return ImageEncoder(module).requires_grad_(False)


@pytest.mark.parametrize("parts", [[], [VisualPrompt()], [VisualPrompt(), VisualPrompt()]], ids=len)
def test_nothing_put_in_is_encode_image(encoder, frames, parts):
    found, summaries = encoder.prompted(frames, parts)
    close(found.flatten(0, 1), encoder(frames.flatten(0, 1)))
    assert summaries == [None, None] and found.shape == (M, T, 32)
    assert (encoder.width, encoder.layers, encoder.patch) == (64, 2, 16)


PARTS = {
    "stay": [Given(stay=tokens(2))],
    "first": [Given(first=tokens(3))],
    "one layer": [Given(more={1: tokens(2)})],
    "each layer": [Given(more={0: tokens(2), 1: tokens(4)})],
    "own of each frame": [Given(more={0: tokens(M, T, 2), 1: tokens(M, T, 1)})],
    "all of two parts": [
        Given(stay=tokens(1), first=tokens(2), more={0: tokens(M, T, 3)}),
        Given(stay=tokens(4), first=tokens(5), more={0: tokens(6), 1: tokens(7)}),
    ],
}


def by_hand(encoder, frames, parts):
    """Everything appended to the sequence of one frame, run through whole blocks, and dropped."""
    visual, features = encoder.visual, []
    for m in range(M):
        for t in range(T):
            x = encoder.embed(frames[m, t][None])[0]
            own = len(x)
            x = torch.cat([x, *(part.stay for part in parts if part.stay is not None)])
            first = [part.first for part in parts if part.first is not None]
            x, more = visual.ln_pre(x), [visual.ln_pre(f) for f in first]
            for layer, block in enumerate(visual.transformer.resblocks):
                given = [part.more[layer] for part in parts if layer in part.more]
                more += [g[m, t] if g.dim() == 4 else g for g in given]
                x, more = block(torch.cat([x, *more])[None])[0, : len(x)], []
            features.append(encoder.readout(x[None, :own])[0])
    return torch.stack(features).unflatten(0, (M, T))


@torch.no_grad()
@pytest.mark.parametrize("name", PARTS)
def test_further_keys_are_the_same_as_tokens_appended_and_dropped(name, encoder, frames):
    found, _ = encoder.prompted(frames, PARTS[name])
    close(found, by_hand(encoder, frames, PARTS[name]))
    assert (found - encoder.prompted(frames, [])[0]).abs().max() > 1e-3


@torch.no_grad()
def test_summaries_are_those_of_the_first_part_that_has_one(encoder, frames):
    seen = encoder.prompted(frames, [Given(), Given(summary=True), Given(summary=False)])[1]
    x = encoder.visual.ln_pre(encoder.embed(frames.flatten(0, 1)))
    for layer, block in enumerate(encoder.visual.transformer.resblocks):
        close(seen[layer].flatten(0, 1), x[:, 0])
        x = block(x)


def test_checkpoints_give_the_same_gradients_and_keep_less(encoder, frames):
    kept, grads = [], []
    for checkpoint in (False, True):
        leaves = [tokens(2).requires_grad_(), tokens(3).requires_grad_(), tokens(M, T, 2).requires_grad_()]
        part = Given(stay=leaves[0], first=leaves[1], more={1: leaves[2]})
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            loss = encoder.prompted(frames, [part], checkpoint)[0].square().sum()
        grads.append(torch.autograd.grad(loss, leaves))
        kept.append(sum(sizes))
    assert all(torch.equal(a, b) and a.abs().max() > 0 for a, b in zip(*grads, strict=True))
    assert kept[1] < kept[0] / 2


def test_a_tower_of_another_kind_is_refused(tiny_clip, frames):
    module = copy.deepcopy(tiny_clip.module)
    module.visual = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 32))
    encoder = ImageEncoder(module)
    assert encoder.width is encoder.layers is encoder.patch is None and not encoder.promptable
    with pytest.raises(ValueError, match=r"need a VisionTransformer of open_clip .* not this Sequential"):
        encoder.prompted(frames, [])
