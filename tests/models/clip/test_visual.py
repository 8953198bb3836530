"""The visual tower in steps gives exactly what `encode_image` gives."""

import copy

import pytest
import torch

from opentad_bi.models.clip.towers import ImageEncoder


@torch.no_grad()
@pytest.mark.parametrize("pool_type", ["tok", "avg"])
@pytest.mark.parametrize("late", [False, True])
def test_the_steps_equal_encode_image(tiny_clip, pool_type, late):
    module = copy.deepcopy(tiny_clip.module)
    module.visual.pool_type, module.visual.final_ln_after_pool = pool_type, late
    images = torch.randn(3, 3, 32, 32)
    encoder = ImageEncoder(module)
    assert encoder.stepwise
    assert encoder.embed(images).shape == (3, 5, 64)
    assert torch.equal(encoder(images), module.encode_image(images))


@torch.no_grad()
def test_a_tower_of_another_kind_runs_whole(tiny_clip):
    module = copy.deepcopy(tiny_clip.module)
    module.visual = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 32))
    encoder, images = ImageEncoder(module), torch.randn(2, 3, 32, 32)
    assert not encoder.stepwise
    assert torch.equal(encoder(images), module.encode_image(images))
