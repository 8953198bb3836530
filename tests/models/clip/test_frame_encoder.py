"""Frames of a batch through an image tower."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from close import close

from opentad_bi.models.clip.preprocess import FrameEncoder, FramePreprocess


@pytest.fixture
def images():
    return torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_features_are_those_of_the_model_by_itself(tiny_clip, images):
    found = FrameEncoder(tiny_clip, torch.device("cpu"), nullcontext)(images)
    prepared = FramePreprocess(tiny_clip.preprocess).normalise(images)
    with torch.no_grad():
        expected = tiny_clip.module.encode_image(prepared, normalize=True).numpy()
    assert found.dtype == np.float32 and found.shape == (5, 32)
    close(found, expected)
    close(np.linalg.norm(found, axis=1), np.ones(len(found)))


def test_it_runs_in_the_context_that_it_is_given(tiny_clip, images):
    half = FrameEncoder(tiny_clip, torch.device("cpu"), partial(torch.autocast, "cpu", dtype=torch.bfloat16))(images)
    exact = FrameEncoder(tiny_clip, torch.device("cpu"), nullcontext)(images)
    assert half.dtype == np.float32 and not np.array_equal(half, exact)
    np.testing.assert_allclose(half, exact, atol=0.02)
