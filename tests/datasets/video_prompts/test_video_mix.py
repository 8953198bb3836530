"""VideoMix: every value comes from one of the two clips, and the share is what can be counted."""

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.datasets.video_prompts.dataset import KINDS, VideoMix

kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**32)
shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.just(3), st.integers(1, 9), st.integers(1, 9))


def mask_of(kind, shape, seed):
    """Where the first clip is kept, (V, T, 3, H, W), and the share."""
    mixed, share = VideoMix(kind)(
        torch.ones(shape, dtype=torch.uint8), torch.zeros(shape, dtype=torch.uint8), Random(seed)
    )
    return mixed.bool(), share


@given(kinds, shapes, seeds)
def test_the_share_is_that_of_the_values(kind, shape, seed):
    mask, share = mask_of(kind, shape, seed)
    assert share == pytest.approx(int(mask.sum()) / mask.numel(), abs=1e-12) and 0 < share <= 1


@given(kinds, shapes, seeds)
def test_every_value_is_of_one_clip_at_its_place(kind, shape, seed):
    size = int(np.prod(shape))
    a = torch.arange(size).reshape(shape)
    b, mask = -1 - a, mask_of(kind, shape, seed)[0]
    before = a.clone(), b.clone()
    mixed, _ = VideoMix(kind)(a, b, Random(seed))
    assert torch.equal(mixed, torch.where(mask, a, b))
    assert torch.equal(a, before[0]) and torch.equal(b, before[1])


@given(kinds, shapes, seeds)
def test_all_views_and_channels_are_mixed_alike_by_a_box_and_a_run(kind, shape, seed):
    mask = mask_of(kind, shape, seed)[0]
    assert (mask == mask[:1, :, :1]).all()
    times, rows, columns = (mask[0, :, 0].any(dims) for dims in ((1, 2), (0, 2), (0, 1)))
    assert torch.equal(mask[0, :, 0], times[:, None, None] & rows[:, None] & columns)
    for line in (times, rows, columns):
        assert int(line.int().diff().abs().sum()) <= 2
        assert line.nonzero().max() - line.nonzero().min() + 1 == line.sum()
    assert kind != "spatial" or times.all()
    assert kind != "temporal" or (rows.all() and columns.all())


@given(kinds, shapes, seeds)
def test_what_is_mixed_is_what_is_drawn(kind, shape, seed):
    a, b = torch.ones(shape, dtype=torch.uint8), torch.zeros(shape, dtype=torch.uint8)
    mixed, share = VideoMix(kind)(a, b, Random(seed))
    mask, expected = mask_of(kind, shape, seed)
    assert mixed.dtype is torch.uint8 and torch.equal(mixed.bool(), mask.bool()) and share == expected


def test_every_run_of_frames_comes_the_last_frame_included():
    runs = set()
    for seed in range(400):
        times = mask_of("temporal", (1, 4, 3, 1, 1), seed)[0][0, :, 0, 0, 0].nonzero().flatten().tolist()
        runs.add((times[0], times[-1] + 1))
    assert runs == {(a, b) for a in range(4) for b in range(a + 1, 5)}


def test_the_mean_share_is_that_of_boxes_cut_at_the_borders():
    # a side s around a uniform centre covers s - s^2 / 4 of an axis; its square averaged over s^2 uniform in (0, 1)
    expected = 1 / 2 - 1 / 5 + 1 / 48
    shares = [mask_of("spatial", (1, 1, 3, 64, 64), seed)[1] for seed in range(2000)]
    assert np.mean(shares) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "spatail"}, "VideoMix kind 'spatail' is not a choice; did you mean 'spatial'"),
        ({"kind": "spatial", "probability": 1.5}, r"VideoMix probability 1\.5"),
        ({"kind": "spatial", "probability": -0.1}, "VideoMix probability"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        VideoMix(**options)


def test_clips_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2, 3, 4, 4\) and \(1, 3, 3, 4, 4\) cannot be mixed"):
        VideoMix("spatial")(torch.zeros(1, 2, 3, 4, 4), torch.zeros(1, 3, 3, 4, 4), Random(0))
