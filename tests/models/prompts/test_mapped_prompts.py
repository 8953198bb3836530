"""ViLT's prompts of two towers: which are learned, which are mapped, and that each map serves its own layer."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opentad_bi.models.clip.towers import TextEncoder
from opentad_bi.models.prompts.couplings import MappedPrompts

D_T, D_V, LAYERS, N = 6, 10, 4, 3
LISTS = st.lists(st.integers(0, LAYERS - 1), unique=True)


def build(text_to_visual=(0, 1), visual_to_text=(2,), **options):
    torch.manual_seed(0)
    options = {"text_to_visual": text_to_visual, "visual_to_text": visual_to_text, "n_ctx": N, **options}
    return MappedPrompts(D_T, D_V, LAYERS, LAYERS, **options)


def beside(part, layer):
    tokens, summary = part.beside(layer, torch.zeros(2, 3, 5, D_V))
    assert summary is None
    return tokens


def reached(part, loss):
    part.zero_grad()
    loss.backward()
    return {name for name, p in part.named_parameters() if p.grad is not None and p.grad.any()}


@given(first=LISTS, second=LISTS)
def test_prompts_stand_in_the_layers_of_the_lists_and_are_counted(first, second):
    if not first + second:
        with pytest.raises(ValueError, match="nothing is learned"):
            build(first, second)
        return
    part = build(first, second)
    text = part.text()
    wanted = {layer: N * ((layer in first) + (layer in second)) for layer in {*first, *second}}
    assert {layer: len(vectors) for layer, vectors in text.items()} == wanted
    for layer in range(LAYERS):
        tokens = beside(part, layer)
        assert (0 if tokens is None else len(tokens)) == wanted.get(layer, 0)
    count = len(first) * (N * D_T + D_T * D_V + D_V) + len(second) * (N * D_V + D_V * D_T + D_T)
    assert sum(p.numel() for p in part.parameters()) == count


def test_own_prompts_come_first_and_the_others_are_mapped():
    part = build((0, 1), (1, 2))
    text = part.text()
    assert torch.equal(text[0], part.text_prompts["0"])
    assert torch.equal(beside(part, 0), part.to_visual["0"](part.text_prompts["0"]))
    both = torch.cat([part.visual_prompts["1"], part.to_visual["1"](part.text_prompts["1"])])
    assert torch.equal(beside(part, 1), both)
    assert torch.equal(text[1], torch.cat([part.text_prompts["1"], part.to_text["1"](part.visual_prompts["1"])]))
    assert torch.equal(beside(part, 2), part.visual_prompts["2"])


@settings(max_examples=10)
@given(layer=st.integers(0, LAYERS - 1), first=LISTS, second=LISTS)
def test_a_layer_is_made_by_its_own_prompts_and_maps_alone(layer, first, second):
    part = build([layer, *[i for i in first if i != layer]], second)
    text = {f"text_prompts.{layer}"}
    mapped = {f"visual_prompts.{layer}", f"to_text.{layer}.weight", f"to_text.{layer}.bias"}
    assert reached(part, part.text()[layer].square().sum()) == text | (mapped if layer in second else set())
    visual = {f"text_prompts.{layer}", f"to_visual.{layer}.weight", f"to_visual.{layer}.bias"}
    own = {f"visual_prompts.{layer}"} if layer in second else set()
    assert reached(part, beside(part, layer).square().sum()) == visual | own


def test_both_tables_and_all_maps_learn():
    part = build((0, 1), (1, 3))
    loss = sum(vectors.square().sum() for vectors in part.text().values())
    loss = loss + sum(tokens.square().sum() for i in range(LAYERS) if (tokens := beside(part, i)) is not None)
    assert reached(part, loss) == set(dict(part.named_parameters()))


def test_prompts_start_with_the_deviation_asked_for():
    part = build((0,), (1,), n_ctx=400, init_std=0.3)
    for prompts in (part.text_prompts["0"], part.visual_prompts["1"]):
        assert prompts.std().item() == pytest.approx(0.3, rel=0.1)


@torch.no_grad()
@pytest.mark.parametrize("layer", [0, 1])
def test_a_prompt_of_a_text_layer_changes_what_is_read_out(tiny_clip, layer):
    tower = TextEncoder(copy.deepcopy(tiny_clip.module)).requires_grad_(False)
    ids = tiny_clip.tokenizer(["a video of a man", "jumping"])
    embeddings, eot = tower.token_embedding(ids[:, :12]), ids.argmax(1)
    torch.manual_seed(0)
    part = MappedPrompts(48, 64, 2, 2, text_to_visual=(0,), visual_to_text=(1,), n_ctx=2)
    before = tower(embeddings, eot, deep=part.text())
    own = part.text_prompts["0"] if layer == 0 else part.visual_prompts["1"]
    own.add_(torch.randn_like(own))
    after = tower(embeddings, eot, deep=part.text())
    assert (before - after).abs().amax(1).min() > 1e-4  # of either text


def test_layers_that_a_tower_does_not_have_are_refused():
    with pytest.raises(ValueError, match="visual_to_text: the text tower has no layer 4; it has layers 0 to 3"):
        build((0,), (4,))
    with pytest.raises(ValueError, match="text_to_visual: the visual tower has no layer 3; it has layers 0 to 2"):
        MappedPrompts(D_T, D_V, LAYERS, 3, text_to_visual=(3,), visual_to_text=())
    with pytest.raises(ValueError, match="layer -1 must be a whole number"):
        build((-1,))
    with pytest.raises(ValueError, match=r"text_to_visual: a layer is given twice in \[1, 1\]"):
        build((1, 1))
    with pytest.raises(ValueError, match="layer '1' must be a whole number"):
        build(("1",))
    with pytest.raises(ValueError, match="n_ctx 0 must be a whole number"):
        build(n_ctx=0)
