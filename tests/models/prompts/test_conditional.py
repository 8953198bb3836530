"""A context that follows the video: one shift for all vectors of a prompt, and for nothing else."""

import copy

import pytest
import torch
from close import close

from opentad_bi.models.classifiers import video_feature_clip
from opentad_bi.models.clip.towers import TextEncoder, Tokens
from opentad_bi.registry import MODELS, PROMPTS

CLASSES = ["cat", "a very large dog"]


@pytest.fixture
def tower(tiny_clip):
    return TextEncoder(tiny_clip.module).requires_grad_(False)


@pytest.fixture
def build(tiny_clip, tower):
    def make(kind="ConditionalPromptLearner", **options):
        torch.manual_seed(0)
        return PROMPTS.build(
            {"type": kind, **options}, classes=CLASSES, tower=tower, tokens=Tokens(tiny_clip.tokenizer)
        )

    return make


def test_all_vectors_of_a_video_are_shifted_alike_and_words_are_not(build, tower):
    learner, plain = build(n_ctx=3), build("PromptLearner", n_ctx=3)
    assert torch.equal(learner.ctx, plain.ctx) and learner.conditional
    condition = torch.nn.functional.normalize(torch.randn(4, 32), dim=1)
    found, eot = learner(tower.token_embedding, condition)
    still, end = plain(tower.token_embedding)
    assert found.shape == (8, *still.shape[1:]) and eot.tolist() == end.tolist() * 4
    moved = found.unflatten(0, (4, 2)) - still  # (M, K, L, D)
    shift = learner.shift(condition)
    close(moved[:, :, 1:4], shift[:, None, None].expand(4, 2, 3, -1))
    assert torch.equal(found.unflatten(0, (4, 2))[:, :, 4:], still[None, :, 4:].expand(4, -1, -1, -1))
    assert torch.equal(found[:, 0], still[:, 0].repeat(4, 1))


def test_without_a_shift_it_is_the_plain_learner(build, tower):
    learner, plain = (
        build(ctx_mode="shared_init", ctx_init="a photo of a"),
        build("PromptLearner", ctx_mode="shared_init", ctx_init="a photo of a"),
    )
    torch.nn.init.zeros_(learner.shift[2].weight), torch.nn.init.zeros_(learner.shift[2].bias)
    found, _ = learner(tower.token_embedding, torch.randn(2, 32))
    assert torch.equal(found, plain(tower.token_embedding)[0].repeat(2, 1, 1))


def test_the_network_is_as_narrow_as_said(build):
    assert build(n_ctx=2).shift[0].out_features == 2 and build(n_ctx=2, reduction=4).shift[0].out_features == 8
    assert build(n_ctx=2, reduction=999).shift[0].out_features == 1


def test_a_model_that_has_no_videos_to_follow_refuses_it(tiny_clip, monkeypatch):
    monkeypatch.setattr(video_feature_clip, "load_clip", lambda **_: copy.deepcopy(tiny_clip))
    cfg = {"type": "VideoFeatureCLIP", "classes": CLASSES, "clip": {"model": "tiny"}}
    with pytest.raises(ValueError, match="ConditionalPromptLearner follows the video; it needs the model VideoCLIP"):
        MODELS.build({**cfg, "prompt": {"type": "ConditionalPromptLearner"}})
