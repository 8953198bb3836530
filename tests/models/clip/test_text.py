"""The text tower fed with embeddings gives what `encode_text` gives, whole or cut behind the last end of text."""

import copy

import pytest
import torch
from close import close

from opentad_bi.models.clip.towers import TextEncoder, Tokens

TEXTS = ["a photo of a cat", "dog", "someone who takes goods from a shop, hides them and leaves without paying"]


@pytest.fixture(params=["tiny_clip", "tiny_custom_clip"])
def clip(request):
    """Both layouts of open_clip: with causal mask, and in `text` without one."""
    return request.getfixturevalue(request.param)


@torch.no_grad()
def test_whole_texts_give_exactly_what_encode_text_gives(clip):
    tower, ids = TextEncoder(clip.module), clip.tokenizer(TEXTS)
    assert torch.equal(tower(tower.token_embedding(ids), ids.argmax(1)), clip.module.encode_text(ids))


@torch.no_grad()
def test_a_causal_tower_is_cut_behind_the_last_end_of_text_and_another_is_not(clip):
    tower, ids = TextEncoder(clip.module), clip.tokenizer(TEXTS)
    last = int(ids.argmax(1).max())
    assert tower.length(last) == (last + 1 if tower.causal else 77)
    close(tower.encode_tokens(ids), clip.module.encode_text(ids))
    assert tower.causal == (clip.module.__class__.__name__ == "CLIP")


@torch.no_grad()
def test_the_mask_is_that_of_the_tower(tiny_clip, tiny_custom_clip):
    # a later token changes an earlier position only without a mask
    for clip, seen in ((tiny_clip, False), (tiny_custom_clip, True)):
        tower, ids = TextEncoder(clip.module), clip.tokenizer(TEXTS[:1])
        ids = ids[:, : tower.length(int(ids.argmax()))]
        changed = tower.token_embedding(ids).clone()
        changed[:, -1] += 1
        early = torch.tensor([2])
        assert torch.equal(tower(tower.token_embedding(ids), early), tower(changed, early)) != seen


@torch.no_grad()
def test_features_of_a_text_do_not_depend_on_the_others(clip):
    tower, ids = TextEncoder(clip.module), clip.tokenizer(TEXTS)
    together = tower(tower.token_embedding(ids), ids.argmax(1))
    alone = tower(tower.token_embedding(ids[1:2]), ids[1:2].argmax(1))
    close(together[1:2], alone)
    assert (together[0] - together[1]).abs().max() > 1e-3


@torch.no_grad()
def test_the_mean_ignores_what_comes_after_the_end(tiny_clip):
    tower, ids = TextEncoder(tiny_clip.module, "mean"), tiny_clip.tokenizer(TEXTS)
    eot = ids.argmax(1)
    embeddings = tower.token_embedding(ids)
    noisy = embeddings.clone()
    for row, end in enumerate(eot.tolist()):
        noisy[row, end + 1 :] = torch.randn(76 - end, embeddings.shape[2])
    assert torch.equal(tower(embeddings, eot), tower(noisy, eot))
    plain = TextEncoder(tiny_clip.module)
    x = embeddings + plain.positional_embedding
    x = plain.ln_final(plain.transformer(x, attn_mask=plain.attn_mask))
    means = torch.stack([x[row, : end + 1].mean(0) for row, end in enumerate(eot.tolist())])
    close(tower(embeddings, eot), means @ plain.text_projection)


@torch.no_grad()
@pytest.mark.parametrize("pool_type", ["first", "last", "eos", "argmax"])
def test_every_kind_of_readout_is_that_of_the_model(tiny_custom_clip, pool_type):
    module = copy.deepcopy(tiny_custom_clip.module)
    module.text.pool_type, module.text.eos_id = pool_type, 49407
    ids = tiny_custom_clip.tokenizer(TEXTS)
    close(TextEncoder(module).encode_tokens(ids), module.encode_text(ids))


def test_a_linear_projection_and_none(tiny_custom_clip):
    module = copy.deepcopy(tiny_custom_clip.module)
    ids = tiny_custom_clip.tokenizer(TEXTS)
    for projection, width in ((torch.nn.Linear(48, 7), 7), (None, 48)):
        del module.text.text_projection
        module.text.text_projection = projection
        tower = TextEncoder(module)
        assert tower.embed_dim == width == tower.encode_tokens(ids).shape[1]
        assert torch.equal(tower(tower.token_embedding(ids), ids.argmax(1)), module.encode_text(ids))


def test_towers_and_poolings_that_do_not_fit_are_named(tiny_clip, tiny_custom_clip):
    with pytest.raises(ValueError, match="text pooling 'max' is not a choice; known: eot, mean"):
        TextEncoder(tiny_clip.module, "max")
    module = copy.deepcopy(tiny_custom_clip.module)
    module.text.cls_emb = torch.nn.Parameter(torch.zeros(48))
    with pytest.raises(ValueError, match="appends a class token"):
        TextEncoder(module)
    module.text = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match="has no token_embedding, positional_embedding"):
        TextEncoder(module)


class Wrapped:
    """A Hugging Face tokenizer in small: words to ids, 1 behind every text, nothing in front."""

    pad_token_id = 0

    def __init__(self, start):
        self.words, self.start = {}, start

    def __call__(self, text, add_special_tokens=True):
        ids = [self.words.setdefault(word, 10 + len(self.words)) for word in text.split()]
        return {"input_ids": [*self.start, *ids, 1] if add_special_tokens else ids}

    def convert_ids_to_tokens(self, token):
        return {number: word for word, number in self.words.items()}[token]

    def decode(self, ids):
        return " ".join(map(self.convert_ids_to_tokens, ids))


class Wrapper:
    """open_clip's wrapper around such a tokenizer, which cleans texts first."""

    def __init__(self, start):
        self.tokenizer, self.clean_fn = Wrapped(start), str.lower


def test_tokens_of_both_kinds_of_tokenizer(tiny_clip):
    tokens = Tokens(tiny_clip.tokenizer)
    text = "Someone stealing, again!"
    assert [*tokens.start, *tokens.encode(text), *tokens.end] == tiny_clip.tokenizer(text)[0][:7].tolist()
    assert tokens.text(tokens.encode(text)) == "someone stealing , again !"
    assert tokens.decode(tokens.encode("cat")[0]) == "cat"
    assert len(tokens.encode("word " * 200)) == 200  # never cut
    for start in ([], [2]):
        tokens = Tokens(Wrapper(start))
        assert (tokens.start, tokens.end, tokens.pad) == (start, [1], 0)
        assert tokens.text(tokens.encode("A Photo of")) == "a photo of"
        assert tokens.decode(tokens.encode("PHOTO")[0]) == "photo"
    with pytest.raises(ValueError, match="a tokenizer of open_clip is expected, not a int"):
        Tokens(3)
