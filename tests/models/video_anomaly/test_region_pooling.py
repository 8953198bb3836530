"""Pooling by weights is RoIAlign with one output cell, and the mean over the frames that show the region."""

import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st
from region_batches import some_boxes
from torchvision.ops import roi_align

from opentad_bi.models.video_anomaly.encoders import box_weights, by_video, region_weights, slots

GRIDS = st.tuples(st.integers(1, 16), st.integers(1, 16))
NUMBERS = st.floats(0, 1, width=32)


def aligned(dense, boxes):
    """torchvision's RoIAlign: (K, E, h, w), (K, 4) in 0..1 -> (K, E)"""
    h, w = dense.shape[-2:]
    scaled = boxes * torch.tensor([w, h, w, h])
    rois = torch.cat([torch.arange(len(boxes))[:, None], scaled], dim=1)
    return roi_align(dense, rois, 1, spatial_scale=1.0, sampling_ratio=-1, aligned=True).flatten(1)


def pooled(dense, boxes):
    return torch.einsum("kp,kep->ke", box_weights(boxes, dense.shape[-2:]), dense.flatten(2))


@given(grid=GRIDS, seed=st.integers(0, 9999))
def test_it_is_roi_align(grid, seed):
    g = torch.Generator().manual_seed(seed)
    boxes, dense = some_boxes(40, generator=g), torch.randn(40, 3, *grid, generator=g)
    close(pooled(dense, boxes), aligned(dense, boxes))


@given(grid=GRIDS, corners=st.lists(NUMBERS, min_size=4, max_size=4))
def test_every_box_is_roi_align_however_small_or_close_to_the_edge(grid, corners):
    (left, right), (top, bottom) = sorted(corners[:2]), sorted(corners[2:])
    boxes = torch.tensor([[left, top, right, bottom]])
    dense = torch.randn(1, 2, *grid, generator=torch.Generator().manual_seed(0))
    close(pooled(dense, boxes), aligned(dense, boxes))


@given(grid=GRIDS, seed=st.integers(0, 99))
def test_weights_are_a_mean(grid, seed):
    weights = box_weights(some_boxes(20, generator=torch.Generator().manual_seed(seed)), grid)
    assert (weights >= 0).all()
    close(weights.sum(-1), torch.ones(20))


def test_the_whole_frame_is_the_mean_and_an_empty_box_zero():
    weights = box_weights(torch.tensor([[0.0, 0, 1, 1], [0, 0, 0, 0], [0.5, 0.2, 0.5, 0.9]]), (7, 7))
    close(weights[0], torch.full((49,), 1 / 49))
    assert weights[1:].abs().max() == 0


def test_overshoot_by_rounding_is_the_frame():
    over, whole = box_weights(torch.tensor([[-1e-7, 0, 1 + 1e-6, 1], [0, 0, 1, 1]]), (7, 7))
    assert torch.equal(over, whole)


@given(seed=st.integers(0, 99), frames=st.integers(1, 5))
def test_frames_are_averaged_where_the_region_is_seen(seed, frames):
    g = torch.Generator().manual_seed(seed)
    boxes, mask = some_boxes(6, frames, generator=g), torch.rand(6, frames, generator=g) < 0.5
    mask[:, 0] = True
    found = region_weights(torch.where(mask[..., None], boxes, 7.0), mask, (3, 4))  # hidden boxes say nothing
    for k in range(6):
        wanted = box_weights(boxes[k, mask[k]], (3, 4)) / mask[k].sum()
        close(found[k, mask[k]], wanted)
        assert found[k, ~mask[k]].abs().sum() == 0


def test_a_region_that_is_never_seen_is_zero_and_no_nan():
    assert region_weights(some_boxes(1, 2), torch.zeros(1, 2, dtype=torch.bool), (2, 2)).abs().sum() == 0


@given(owners=st.lists(st.integers(0, 3), max_size=8))
def test_regions_find_their_places_again(owners):
    owners, values = torch.tensor(owners, dtype=torch.int64), torch.randn(len(owners), 2)
    most = int(owners.bincount().max()) if len(owners) else 0
    padded = by_video(values, owners, 4, most)
    assert torch.equal(padded[owners, slots(owners, 4)], values)
    close(padded.sum((0, 1)), values.sum(0))
