"""Laws of realignment: what the reversed window's points say, told at the points of the forward one."""

import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.records import Prediction
from opentad_bi.ops.reverse import mirror_segments, nearest_mirrored, realign
from opentad_bi.ops.segments import decode_segments, level_points

# B batch, K classes, T grid positions, T_l points of level l


@st.composite
def levels(draw):
    """(T, strides, shift, valid lengths) of a batch."""
    strides = draw(st.lists(st.sampled_from([1, 2, 3, 4, 5, 8, 16, 32]), min_size=1, max_size=4))
    window = draw(st.integers(1, 97))
    valid = draw(st.lists(st.integers(1, window), min_size=1, max_size=4))
    return window, strides, draw(st.sampled_from([0.0, 0.5])), valid


def prediction(window, strides, shift, valid, classes=3, seed=0):
    """Random maps; a level has as many points as cells are needed to cover the window."""
    generator = torch.Generator().manual_seed(seed)
    lengths = [-(-window // stride) for stride in strides]
    valid = torch.tensor(valid)[:, None]
    masks = [torch.arange(n) * stride < valid for n, stride in zip(lengths, strides, strict=True)]
    return Prediction(
        cls=[torch.randn(len(valid), classes, n, generator=generator) for n in lengths],
        reg=[torch.rand(len(valid), 2, n, generator=generator) * 5 for n in lengths],
        masks=masks,
        points=[level_points(n, s, (0, 10), shift=shift) for n, s in zip(lengths, strides, strict=True)],
    )


def decoded(maps):
    """Segments of every level, (B, T_l, 2)."""
    return [decode_segments(points, reg.transpose(1, 2)) for points, reg in zip(maps.points, maps.reg, strict=True)]


@given(levels())
def test_the_partner_is_the_nearest_valid_point(case):
    valid = case[3]
    maps = prediction(*case)
    lengths = torch.tensor(valid)
    for points, mask in zip(maps.points, maps.masks, strict=True):
        index, offset = nearest_mirrored(points, mask, lengths)
        for b, length in enumerate(valid):
            candidates = length - 1 - points[mask[b], 0]  # of the reversed window, in forward time
            for i in mask[b].nonzero()[:, 0].tolist():
                distance = (candidates - points[i, 0]).abs()
                chosen = (candidates[index[b, i]] - points[i, 0]).abs()
                assert chosen <= distance.min() + 1e-4
                assert abs(offset[b, i] * points[i, 3] - (candidates[index[b, i]] - points[i, 0])) < 1e-3


@given(levels())
def test_decoding_realigned_distances_is_mirroring_decoded_segments(case):
    valid = torch.tensor(case[3])
    maps = prediction(*case)
    aligned = realign(maps, valid)
    for level, (before, after) in enumerate(zip(decoded(maps), decoded(aligned), strict=True)):
        index, _ = nearest_mirrored(maps.points[level], maps.masks[level], valid)
        for b, length in enumerate(valid):
            mask = maps.masks[level][b]
            mirrored = mirror_segments(before[b, index[b]], length)
            close(after[b][mask], mirrored[mask], ulps=1024)
            assert torch.equal(aligned.cls[level][b][:, mask], maps.cls[level][b][:, index[b]][:, mask])


@given(levels())
def test_realigning_twice_is_identity_but_for_points_beyond_the_last_partner(case):
    """Points and partners are each other's, except that an end point may mirror to where no point is."""
    valid = torch.tensor(case[3])
    maps = prediction(*case)
    twice = realign(realign(maps, valid), valid)
    for level, points in enumerate(maps.points):
        mask = maps.masks[level]
        index, offset = nearest_mirrored(points, mask, valid)
        same = (index.gather(1, index) == torch.arange(len(points))) & mask
        inner = (offset.abs() <= 0.5) & mask
        assert (same | ~inner).all()
        assert ((mask & ~same).sum(1) <= 1).all()
        for b in range(len(valid)):
            close(twice.reg[level][b][:, same[b]], maps.reg[level][b][:, same[b]], ulps=1024)
            assert torch.equal(twice.cls[level][b][:, same[b]], maps.cls[level][b][:, same[b]])


@given(levels(), st.integers(0, 2**16))
def test_true_distances_of_both_directions_coincide(case, seed):
    valid = case[3]
    maps = prediction(*case, seed=seed)
    lengths = torch.tensor(valid)
    starts = torch.rand(len(valid), generator=torch.Generator().manual_seed(seed)) * lengths
    truth = torch.stack([starts, starts + 3.7], dim=1)  # (B, 2)

    def told(segments):
        """Distances of every point to one segment per sample."""
        maps.reg = [
            torch.stack([p[:, 0] - segments[:, :1], segments[:, 1:] - p[:, 0]], dim=1) / p[:, 3] for p in maps.points
        ]
        return Prediction(maps.cls, maps.reg, maps.masks, maps.points)

    forward = told(truth)
    backward = realign(told(mirror_segments(truth, lengths[:, None])), lengths)
    for mask, ours, theirs in zip(maps.masks, forward.reg, backward.reg, strict=True):
        wrong = (ours - theirs).abs().amax(1)
        assert (wrong[mask] < 1e-4).all()


@given(levels(), st.integers(0, 2**16))
def test_padding_reaches_no_valid_point(case, seed):
    valid = torch.tensor(case[3])
    maps = prediction(*case)
    before = realign(maps, valid)
    noise = prediction(*case, seed=seed + 1)
    for ours, other in ((maps.cls, noise.cls), (maps.reg, noise.reg)):
        ours[:] = [torch.where(m[:, None], a, b * 1e6) for a, b, m in zip(ours, other, maps.masks, strict=True)]
    after = realign(maps, valid)
    for mask, a, b in zip(maps.masks * 2, before.cls + before.reg, after.cls + after.reg, strict=True):
        keep = mask[:, None].expand_as(a)
        assert torch.equal(a[keep], b[keep])


def test_flipping_would_be_off_by_nearly_a_stride_where_realignment_is_not():
    stride, window = 32, 768
    points = level_points(window // stride, stride, (0, 10))
    _, offset = nearest_mirrored(points, torch.ones(1, len(points), dtype=torch.bool), torch.tensor([window]))
    flipped = window - 1 - points.flip(0)[:, 0] - points[:, 0]
    assert (flipped == stride - 1).all()
    assert (offset[0, 1:] * stride == -1).all()


def test_a_level_of_one_point():
    maps = prediction(8, [8], 0.0, [3, 8])
    aligned = realign(maps, torch.tensor([3, 8]))
    expected = mirror_segments(decoded(maps)[0], torch.tensor([3.0, 8.0])[:, None, None])
    close(decoded(aligned)[0], expected)


def test_gradients_pass_and_autocast_leaves_the_distances_exact():
    maps = prediction(16, [1, 4], 0.0, [16, 9])
    maps.reg = [reg.requires_grad_() for reg in maps.reg]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        aligned = realign(maps, torch.tensor([16, 9]))
    assert all(reg.dtype == torch.float32 for reg in aligned.reg)
    sum(reg.sum() for reg in aligned.reg).backward()
    for reg in maps.reg:
        assert reg.grad is not None
        assert reg.grad.sum() == reg.numel()  # every point has one partner, so as many ones as points


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_compiles_into_one_graph(shift):
    maps = prediction(16, [1, 4], shift, [16, 9])
    valid = torch.tensor([16, 9])

    def run(cls, reg, valid):
        out = realign(Prediction(cls, reg, maps.masks, maps.points), valid)
        return out.cls, out.reg

    compiled = torch.compile(run, backend="aot_eager", fullgraph=True)
    for ours, expected in zip(compiled(maps.cls, maps.reg, valid), run(maps.cls, maps.reg, valid), strict=True):
        for a, b in zip(ours, expected, strict=True):
            close(a, b)
