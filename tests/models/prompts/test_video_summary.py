"""ViTA's tokens: frames see each other, every layer has its own, and their number is the one that was reckoned."""

import pytest
import torch
from close import close
from hypothesis import given, settings
from hypothesis import strategies as st

from opentad_bi.models.clip.towers import ImageEncoder
from opentad_bi.models.prompts.visual_prompts import VideoSummary

WIDTH, LAYERS, FRAMES, PATCH, VIEWS = 16, 2, 3, 4, 2
KINDS = {"summary": True, "local": True, "conditioning": True, "time": True}


def build(seed=0, **options):
    torch.manual_seed(seed)
    return VideoSummary(WIDTH, LAYERS, FRAMES, PATCH, **{"n_global": 2, "heads": 4, **options})


def tokens_of_frames(frames=FRAMES):
    return torch.randn(VIEWS, frames, 5, WIDTH, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@settings(max_examples=10)
@given(seed=st.integers(0, 99), layer=st.integers(0, LAYERS - 1), changed=st.integers(0, FRAMES - 1))
def test_a_frame_changes_the_summary_of_every_frame_of_its_own_view(seed, layer, changed):
    part, x = build(seed), tokens_of_frames()
    other = x.clone()
    other[0, changed, 0] += torch.randn(WIDTH)
    (_, before), (_, after) = part.beside(layer, x), part.beside(layer, other)
    moved = (before - after).abs().amax(-1)
    assert (moved[0] > 1e-6).all() and not moved[1].any()


@torch.no_grad()
@settings(max_examples=10)
@given(seed=st.integers(0, 99), order=st.permutations(range(FRAMES)))
def test_permuting_frames_permutes_the_summaries(seed, order):
    part, x = build(seed, time=False, local=False), tokens_of_frames()
    _, summary = part.beside(1, part.enter(x))
    _, permuted = part.beside(1, part.enter(x[:, order]))
    close(permuted, summary[:, order])


@torch.no_grad()
def test_the_embedding_of_time_tells_frames_apart_once_it_is_learned():
    part, x = build(), tokens_of_frames()
    assert torch.equal(part.enter(x), x)  # frames enter as the tower knows them
    part.time.normal_()
    entered = part.enter(x)
    close(entered - x, part.time.expand(FRAMES, 5, WIDTH).expand_as(x))
    order = [2, 0, 1]
    _, summary = part.beside(0, entered)
    _, permuted = part.beside(0, part.enter(x[:, order]))
    assert (permuted - summary[:, order]).abs().max() > 1e-3


@torch.no_grad()
def test_tokens_are_those_of_the_formula():
    part, x = build(), tokens_of_frames()
    tokens, summary = part.beside(1, x)
    layer = part.layers[1]
    assert tokens.shape == (VIEWS, FRAMES, 2 + FRAMES + 1, WIDTH)
    c = layer.project(x[:, :, 0])
    for view in range(VIEWS):
        normed = layer.norm(c[view])
        expected = c[view] + layer.attention(normed, normed, normed)[0]
        close(summary[view], expected)
        for frame in range(FRAMES):
            wanted = torch.cat([layer.global_tokens, layer.local_tokens + c[view], summary[view, frame, None]])
            close(tokens[view, frame], wanted)


def test_learned_tokens_start_within_the_bound_and_fill_it():
    part = VideoSummary(64, 1, 8, PATCH, n_global=64, heads=4)
    bound = (6 / (3 * PATCH * PATCH + 64)) ** 0.5
    for tokens in (part.layers[0].global_tokens, part.layers[0].local_tokens):
        assert tokens.abs().max() <= bound
        assert tokens.abs().max() > 0.9 * bound
        assert tokens.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


@pytest.mark.parametrize(
    "off", [(), ("summary",), ("local",), ("conditioning",), ("time",), ("summary", "conditioning")]
)
@pytest.mark.parametrize("n_global", [0, 3])
def test_every_parameter_is_counted_and_learns(off, n_global):
    on = KINDS | dict.fromkeys(off, False)
    part, x = build(n_global=n_global, **on), tokens_of_frames()
    linear, ahead = WIDTH * WIDTH + WIDTH, on["summary"] or (on["local"] and on["conditioning"])
    layer = n_global * WIDTH + on["local"] * FRAMES * WIDTH + ahead * linear + on["summary"] * (4 * linear + 2 * WIDTH)
    wanted = LAYERS * layer + on["time"] * FRAMES * WIDTH
    assert sum(p.numel() for p in part.parameters()) == wanted
    entered = part.enter(x)
    found = [part.beside(layer, entered)[0] for layer in range(LAYERS)]
    if found[0] is not None:
        assert found[0].shape == (VIEWS, FRAMES, n_global + on["local"] * FRAMES + on["summary"], WIDTH)
    weights = torch.randn(entered.shape)
    loss = sum((t * torch.randn_like(t)).sum() for t in found if t is not None) + (entered * weights).sum()
    loss.backward()
    silent = [name for name, p in part.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="5 heads do not divide the width 16"):
        build(heads=5)
    build(heads=5, summary=False)  # no attention, so none to fit
    with pytest.raises(ValueError, match="heads 0 must be a whole number"):
        build(heads=0)
    with pytest.raises(ValueError, match="n_global -1 must be a whole number"):
        build(n_global=-1)
    with pytest.raises(ValueError, match="nothing to learn"):
        build(n_global=0, summary=False, local=False, time=False)
    with pytest.raises(ValueError, match="built for 3 frames, but a view has 4"):
        build().enter(tokens_of_frames(4))
    free = build(time=False, local=False)
    assert free.beside(0, free.enter(tokens_of_frames(4)))[1].shape == (VIEWS, 4, WIDTH)


@torch.no_grad()
@pytest.mark.parametrize(("options", "seen"), [({}, True), ({"local": False}, True), ({"summary": False}, True),
                                               ({"summary": False, "conditioning": False}, False)])  # fmt: skip
def test_in_the_tower_the_second_frame_changes_what_the_first_gives(tiny_clip, options, seen):
    tower = ImageEncoder(tiny_clip.module)
    torch.manual_seed(0)
    part = VideoSummary(tower.width, tower.layers, FRAMES, tower.patch, heads=4, **options)
    frames = torch.randn(VIEWS, FRAMES, 3, 32, 32)
    other = frames.clone()
    other[0, 1] += torch.randn(3, 32, 32)
    (before, summaries), (after, _) = tower.prompted(frames, [part]), tower.prompted(other, [part])
    moved = (before - after).abs().amax(-1)
    assert (moved[0, 0] > 1e-6) == seen and moved[0, 1] > 1e-3 and moved[1].max() < 1e-6
    assert [summary is not None for summary in summaries] == [options.get("summary", True)] * tower.layers
