"""The dense map is the last block with each token attending to itself, and the frame's feature is CLIP's."""

import copy

import pytest
import torch
from close import close
from torch import nn

from opentad_bi.models.video_anomaly.encoders import DenseEncoder, value_path


@pytest.fixture
def images():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_the_value_path_is_the_block_with_a_diagonal_mask(tiny_clip):
    block = copy.deepcopy(tiny_clip.module.visual.transformer.resblocks[-1])
    nn.init.normal_(block.attn.in_proj_bias)
    nn.init.normal_(block.attn.out_proj.bias)
    x = torch.randn(2, 5, 64)
    mask = torch.full((5, 5), float("-inf")).fill_diagonal_(0)
    close(value_path(block, x), block(x, attn_mask=mask))


@torch.no_grad()
@pytest.mark.parametrize("dense", ["value", "full"])
def test_the_frame_is_read_as_clip_reads_it(tiny_clip, images, dense):
    encoder = DenseEncoder(tiny_clip.module, dense)
    features, tokens = encoder(images)
    assert encoder.grid == (2, 2) and tokens.shape == (3, 4, 64)
    close(features, tiny_clip.module.encode_image(images))
    alone, nothing = encoder(images, dense=False)
    assert nothing is None and torch.equal(alone, features)


@torch.no_grad()
def test_full_are_the_tokens_of_the_model(tiny_clip, images):
    visual = copy.deepcopy(tiny_clip.module.visual)
    visual.output_tokens = True
    _, tokens = DenseEncoder(tiny_clip.module, "full")(images)
    close(tokens, visual(images)[1])


@torch.no_grad()
def test_value_is_from_the_input_of_the_last_block_alone(tiny_clip, images):
    module = copy.deepcopy(tiny_clip.module).requires_grad_(True)
    before = DenseEncoder(module)(images)
    attention = module.visual.transformer.resblocks[-1].attn
    attention.in_proj_weight[: 2 * 64] = torch.randn(2 * 64, 64)  # queries and keys
    after = DenseEncoder(module)(images)
    assert torch.equal(before[1], after[1])
    assert not torch.allclose(before[0], after[0])


@torch.no_grad()
def test_a_mean_of_tokens_may_be_projected_after(tiny_clip, images):
    encoder = DenseEncoder(tiny_clip.module)
    _, tokens = encoder(images)
    close(encoder.project(tokens).mean(1), encoder.project(tokens.mean(1)))


def test_checkpointing_changes_no_gradient(tiny_clip, images):
    grads = []
    for checkpoint in (False, True):
        module = copy.deepcopy(tiny_clip.module).requires_grad_(True)
        features, tokens = DenseEncoder(module, checkpoint=checkpoint)(images)
        (features.square().sum() + tokens.square().sum()).backward()
        grads.append([p.grad for p in module.visual.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_other_towers_are_refused(tiny_clip):
    module = copy.deepcopy(tiny_clip.module).requires_grad_(True)
    with pytest.raises(ValueError, match="dense 'valu' is not a choice; did you mean 'value'"):
        DenseEncoder(module, "valu")
    module.visual.patch_dropout = nn.Dropout(0.5)
    with pytest.raises(ValueError, match="no patch dropout"):
        DenseEncoder(module)
    module.visual = nn.Flatten()
    with pytest.raises(ValueError, match="not this Flatten; take a model such as ViT-B-16"):
        DenseEncoder(module)
