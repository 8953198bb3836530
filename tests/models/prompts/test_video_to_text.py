"""STT's transfer: one token per video and layer, out of the summaries of that layer and video alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opentad_bi.models.prompts.couplings import VideoToText

D_T, D_V, FRAMES, LAYERS, VIEWS = 6, 10, 3, 4, 2


def build(layers=(0, 2), frames=FRAMES):
    torch.manual_seed(0)
    return VideoToText(D_T, D_V, frames, LAYERS, LAYERS, layers=layers)


def summaries(frames=FRAMES):
    made = torch.Generator().manual_seed(1)
    return [torch.randn(VIEWS, frames, D_V, generator=made) for _ in range(LAYERS)]


@torch.no_grad()
@settings(max_examples=15)
@given(layers=st.lists(st.integers(0, LAYERS - 1), unique=True, min_size=1), changed=st.integers(0, LAYERS - 1))
def test_a_layer_of_a_video_is_told_to_the_same_layer_of_its_own_text(layers, changed):
    part, given_ = build(layers), summaries()
    before = part.text(given_)
    assert {layer: tuple(tokens.shape) for layer, tokens in before.items()} == dict.fromkeys(layers, (VIEWS, 1, D_T))
    given_[changed] = given_[changed].clone()
    given_[changed][0, 1] += 1
    after = part.text(given_)
    for layer in layers:
        moved = (after[layer] - before[layer]).abs().amax((1, 2)) > 0
        assert moved.tolist() == [layer == changed, False]


@torch.no_grad()
def test_tokens_see_the_order_of_the_frames():
    part, given_ = build(), summaries()
    turned = part.text([summary.flip(1) for summary in given_])
    assert (turned[0] - part.text(given_)[0]).abs().min(-1).values.max() > 1e-4
    wanted = part.maps["2"](torch.cat(given_[2].unbind(1), dim=1))
    assert torch.equal(part.text(given_)[2][:, 0], wanted)


def test_the_gradient_goes_on_into_the_summaries_of_its_layers():
    part, given_ = build((0, 2)), [summary.requires_grad_() for summary in summaries()]
    sum(tokens.square().sum() for tokens in part.text(given_).values()).backward()
    assert [summary.grad is not None and bool(summary.grad.any()) for summary in given_] == [True, False, True, False]
    assert all(p.grad.any() for p in part.parameters())


def test_it_has_the_weights_that_were_reckoned():
    assert sum(p.numel() for p in build((0, 1, 3)).parameters()) == 3 * (FRAMES * D_V * D_T + D_T)
    with torch.device("meta"):
        part = VideoToText(512, 768, 8, 12, 12)  # ViT-B/16
    assert sum(p.numel() for p in part.parameters()) == 10 * (8 * 768 * 512 + 512) == 31_462_400


def test_what_does_not_fit_is_named():
    for missing in (None, [], [None] * LAYERS):
        with pytest.raises(ValueError, match=r"layer 0 of the visual tower has no summary; .*VideoSummary"):
            build().text(missing)
    with pytest.raises(ValueError, match="built for 3 frames, but a view has 4"):
        build().text(summaries(4))
    with pytest.raises(ValueError, match="layers: the text tower has no layer 4; it has layers 0 to 3"):
        build((4,))
    with pytest.raises(ValueError, match="the text tower has no layer 4"):
        VideoToText(D_T, D_V, FRAMES, LAYERS, LAYERS)  # the ten layers of the default
    with pytest.raises(ValueError, match="nothing is learned"):
        build(())
