"""Positions are stretched by their rule; short texts are read as before."""

import copy

import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.models.video_anomaly.encoders import CaptionEncoder, stretch_positions


def own(clip):
    """A copy that learns, whatever other tests did to the model that all share."""
    clip = copy.deepcopy(clip)
    clip.module.requires_grad_(True)
    return clip


LONG = "a man in a dark coat walks past the shop and " * 20


@given(rows=st.integers(22, 80), seed=st.integers(0, 99))
def test_the_rule_of_positions(rows, seed):
    table = torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))
    found = stretch_positions(table)
    assert found.shape == (20 + 4 * (rows - 20), 3)
    assert torch.equal(found[:20], table[:20])
    for i in range(rows - 21):
        for k in range(4):
            wanted = (1 - k / 4) * table[20 + i] + k / 4 * table[21 + i]
            close(found[20 + 4 * i + k], wanted)
    for k in range(4):
        close(found[k - 4], table[-1] + k / 4 * (table[-1] - table[-2]))


def test_the_numbers_of_77():
    found = stretch_positions(torch.arange(77.0)[:, None])[:, 0]
    assert len(found) == 248
    assert found[[19, 20, 21, 24, 243, 244, 247]].tolist() == [19, 20, 20.25, 21, 75.75, 76, 76.75]


@torch.no_grad()
@pytest.mark.parametrize("layout", ["tiny_clip", "tiny_custom_clip"])
def test_short_texts_are_read_as_the_model_reads_them(layout, request):
    clip, texts = request.getfixturevalue(layout), ["a fire", "two cars crash at night", "a fire"]
    wanted = clip.module.encode_text(clip.tokenizer(texts))
    for length in (None, 77, 248):
        encoder = CaptionEncoder(clip, length)
        close(encoder.encode(texts), wanted)
        assert encoder.encode([]).shape == (0, 32)


@torch.no_grad()
def test_words_beyond_77_tokens_count_with_248_alone(tiny_clip):
    captions = [LONG + "a fire", LONG + "a flood"]  # 200 tokens and more
    short, long = (CaptionEncoder(tiny_clip, length).encode(captions, long=True) for length in (77, 248))
    close(short[0], short[1])
    assert not torch.allclose(long[0], long[1])


@torch.no_grad()
@pytest.mark.parametrize("layout", ["tiny_clip", "tiny_custom_clip"])
def test_a_long_text_is_that_of_a_tower_with_a_longer_table(layout, request):
    clip = copy.deepcopy(request.getfixturevalue(layout))
    encoder = CaptionEncoder(clip, 248)
    found = encoder.encode([LONG, "a fire"], long=True)
    tower = getattr(clip.module, "text", clip.module)
    x = tower.token_embedding(clip.tokenizer([LONG, "a fire"], context_length=248))
    x = x + stretch_positions(tower.positional_embedding)
    mask = None if tower.attn_mask is None else torch.full((248, 248), float("-inf")).triu_(1)
    x = tower.ln_final(tower.transformer(x, attn_mask=mask))
    eot = clip.tokenizer([LONG, "a fire"], context_length=248).argmax(1)
    close(found, x[[0, 1], eot] @ tower.text_projection, ulps=1024)


def test_both_tables_learn_each_from_its_texts(tiny_clip):
    encoder = CaptionEncoder(own(tiny_clip), 248)
    encoder.encode(["a fire"], long=True).sum().backward()
    assert encoder.long_positions.grad[:3].abs().min() > 0 and encoder.positional_embedding.grad is None
    encoder.encode(["a fire"]).sum().backward()
    assert encoder.positional_embedding.grad[:3].abs().min() > 0


def test_no_text_still_leads_a_gradient_back(tiny_clip):
    encoder = CaptionEncoder(own(tiny_clip))
    encoder.encode([]).sum().backward()
    assert encoder.positional_embedding.grad.abs().sum() == 0


def test_other_lengths_are_refused(tiny_clip):
    with pytest.raises(ValueError, match="context_length 128 is neither 77 nor 248"):
        CaptionEncoder(tiny_clip, 128)
