"""Deep prompts in the text tower: they stand where they should, are seen, and move nothing else."""

import pytest
import torch
from close import close

from opentad_bi.models.clip.towers import TextEncoder

TEXTS = ["a photo of a cat", "dog", "someone who takes goods from a shop and hides them"]


@pytest.fixture(params=["tiny_clip", "tiny_custom_clip"])
def clip(request):
    """With causal mask, and without."""
    return request.getfixturevalue(request.param)


def embedded(clip, pooling="eot"):
    """Frozen tower, embedded texts as far as it must see them, and the places of their ends."""
    tower, ids = TextEncoder(clip.module, pooling).requires_grad_(False), clip.tokenizer(TEXTS)
    eot = ids.argmax(1)
    return tower, tower.token_embedding(ids[:, : tower.length(int(eot.max()))]), eot


def vectors(*shape):
    return torch.randn(*shape, 48, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("deep", [None, {}, {0: vectors(0)}])
def test_no_deep_prompts_change_no_bit(clip, deep):
    tower, x, eot = embedded(clip)
    expected = tower.transformer(
        x + tower.positional_embedding[: x.shape[1]],
        attn_mask=tower.attn_mask[: x.shape[1], : x.shape[1]] if tower.causal else None,
    )
    expected = tower.ln_final(expected)[range(3), eot] @ tower.text_projection
    assert torch.equal(tower(x, eot, deep), expected)


@pytest.mark.parametrize("pooling", ["eot", "mean"])
@pytest.mark.parametrize(
    "deep",
    [
        {0: vectors(2)},
        {1: vectors(3)},
        {0: vectors(2), 1: vectors(4)},
        {0: vectors(3, 4), 1: vectors(3, 1)},
        {0: vectors(2), 1: vectors(3, 2)},
    ],
    ids=["first", "second", "growing", "own of each text", "both kinds"],
)
def test_it_is_the_tower_run_with_the_vectors_in_the_sequence(clip, deep, pooling):
    tower, x, eot = embedded(clip, pooling)
    close(tower(x, eot, deep), by_hand(tower, x, eot, deep, pooling))


def by_hand(tower, x, eot, deep, pooling="eot"):
    """One text, one block at a time."""
    features = []
    for row, end in enumerate(eot.tolist()):
        words = (x + tower.positional_embedding[: x.shape[1]])[row]
        learned = words[:0]
        for layer, block in enumerate(tower.transformer.resblocks):
            given = deep.get(layer, learned)
            learned = given[row] if given.dim() == 3 else given
            whole = torch.cat([words[:1], learned, words[1:]])
            mask = torch.full((len(whole), len(whole)), float("-inf")).triu(1) if tower.causal else None
            whole = block(whole[None], attn_mask=mask)[0]
            count = len(learned)
            learned, words = whole[1 : 1 + count], torch.cat([whole[:1], whole[1 + count :]])
        whole = tower.ln_final(torch.cat([words[:1], learned, words[1:]]))
        end += len(learned)
        read = whole[end] if pooling == "eot" else whole[: end + 1].mean(0)
        features.append(read @ tower.text_projection)
    return torch.stack(features)


def test_the_end_of_the_text_sees_a_deep_prompt_under_the_causal_mask(tiny_clip):
    tower, x, eot = embedded(tiny_clip)
    assert tower.causal
    for layer in (0, 1):
        deep = {layer: vectors(2).requires_grad_()}
        features = tower(x, eot, deep)
        assert (features - tower(x, eot)).abs().max() > 1e-3
        (grad,) = torch.autograd.grad(features.sum(), deep[layer])
        assert (grad.abs().amax(1) > 0).all()


def test_prompts_may_reach_beyond_the_length_of_the_tower(clip):
    tower = TextEncoder(clip.module)
    ids = clip.tokenizer(["word " * 100])
    x, eot = tower.token_embedding(ids), torch.tensor([76])
    assert x.shape[1] == tower.context_length == 77
    deep = {0: vectors(8), 1: vectors(2)}
    close(tower(x, eot, deep), by_hand(tower, x, eot, deep))


def test_every_text_is_the_same_alone(clip):
    tower, x, eot = embedded(clip)
    deep = {0: vectors(3, 2), 1: vectors(3, 3)}
    alone = [tower(x[i : i + 1], eot[i : i + 1], {k: v[i : i + 1] for k, v in deep.items()}) for i in range(3)]
    close(tower(x, eot, deep), torch.cat(alone))


def test_checkpoints_give_the_same_gradients_and_keep_less(tiny_clip):
    tower, x, eot = embedded(tiny_clip)
    kept, grads = [], []
    for checkpoint in (False, True):
        leaves = [x.clone().requires_grad_(), vectors(2).requires_grad_()]
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            loss = tower(leaves[0], eot, {0: leaves[1]}, checkpoint=checkpoint).square().sum()
        grads.append(torch.autograd.grad(loss, leaves))
        kept.append(sum(sizes))
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))
    assert kept[1] < kept[0] / 2


def test_a_layer_that_is_not_there_is_named(tiny_clip):
    tower, x, eot = embedded(tiny_clip)
    with pytest.raises(ValueError, match=r"deep prompts for layers \[2\] of a text tower of 2 layers"):
        tower(x, eot, {2: vectors(1)})
