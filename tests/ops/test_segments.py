import numpy as np
import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops import kernels
from opentad_bi.ops.kernels import intersection_over_union
from opentad_bi.ops.nms import batched_nms
from opentad_bi.ops.segments import (
    assign_targets,
    decode_segments,
    pairwise_tiou,
    segment_diou,
    segment_giou,
    segment_iou,
)

numbers = st.floats(-100, 100, width=32)
segments = st.tuples(numbers, st.floats(0.0625, 100, width=32)).map(lambda p: [p[0], p[0] + p[1]])
pairs = st.lists(st.tuples(segments, segments), min_size=1, max_size=8).map(lambda p: torch.tensor(p).unbind(1))


@given(pairs)
def test_bounds_and_symmetry(pair):
    a, b = pair
    iou, giou, diou = (f(a, b) for f in (segment_iou, segment_giou, segment_diou))
    assert ((iou >= 0) & (iou <= 1 + 1e-5)).all()
    assert ((giou >= -1 - 1e-5) & (giou <= iou + 1e-5)).all()
    assert ((diou >= -1 - 1e-5) & (diou <= iou + 1e-5)).all()
    for f, value in ((segment_iou, iou), (segment_giou, giou), (segment_diou, diou)):
        close(f(b, a), value)


@given(pairs)
def test_a_segment_agrees_with_itself(pair):
    a, _ = pair
    for f in (segment_iou, segment_giou, segment_diou):
        close(f(a, a), torch.ones(len(a)), ulps=1024)


def test_hand_made_values():
    a, b = torch.tensor([0.0, 4.0]), torch.tensor([2.0, 8.0])
    assert segment_iou(a, b) == pytest.approx(2 / 8)
    assert segment_giou(a, b) == pytest.approx(2 / 8)
    assert segment_diou(a, b) == pytest.approx(2 / 8 - 9 / 64)
    apart = torch.tensor([6.0, 8.0])
    assert segment_giou(a, apart) == pytest.approx(-2 / 8)
    assert segment_diou(a, apart) == pytest.approx(-25 / 64)


def test_an_end_before_the_start_costs_more_the_further_it_lies():
    """Losses of the reference: both lengths with their signs, IoU' = I / max(U, e), E - U over E."""
    cases = [
        # segment, target, GIoU loss, DIoU loss
        ([9, 7], [3.1493, 4.9025], 2.0641, 2.0651),  # U -0.2468, E 3.8507, centres 3.9741 apart
        ([9, 7], [2.0708, 10.4035], 1.2400, 1.0448),
        ([6, 4], [0, 3], 1.75, 1 + 3.5**2 / 16),  # U 1, E 4
        ([3, 3], [2.5274, 9.1574], 1.0, 1.1838),
        ([5, 5], [5, 5], 12 / 11, 1.0),
    ]
    a, b = (torch.tensor([case[i] for case in cases], dtype=torch.float32).requires_grad_() for i in (0, 1))
    giou, diou = 1 - segment_giou(a, b), 1 - segment_diou(a, b)
    assert giou.tolist() == pytest.approx([case[2] for case in cases], abs=1e-4)
    assert diou.tolist() == pytest.approx([case[3] for case in cases], abs=1e-4)
    (giou + diou).sum().backward()
    assert torch.isfinite(a.grad).all() and torch.isfinite(b.grad).all()
    # a step against the gradient brings the end nearer to its target, past the start
    assert a.grad[0, 0] > 0
    further = [(1 - segment_giou(torch.tensor([9.0, end]), b[0])).item() for end in (8.9, 8, 7, 6)]
    assert further == sorted(further)


reversible = st.tuples(numbers, numbers)


@given(st.lists(st.tuples(reversible, reversible), min_size=1, max_size=8))
def test_overlap_of_reversed_segments_is_none_everywhere(rows):
    a, b = torch.tensor(rows).unbind(1)
    backward = (a[:, 1] <= a[:, 0]) | (b[:, 1] <= b[:, 0])
    iou = segment_iou(a, b)
    assert torch.equal(iou[backward], torch.zeros(int(backward.sum())))
    assert ((iou >= 0) & (iou <= 1 + 1e-5)).all()
    for f in (segment_giou, segment_diou):
        assert torch.isfinite(f(a, b)).all()
    length = a[:, 1] - a[:, 0] + np.float32(1e-6)
    for first, second, own in zip(a.numpy(), b.numpy(), length.numpy(), strict=True):
        other = np.float32(second[1] - second[0] + np.float32(1e-6))
        overlaps = kernels.overlap(*first, own, *second, other), intersection_over_union(*first, *second)
        assert all(0 <= overlap <= 1 + 1e-5 for overlap in overlaps)
        if first[1] <= first[0] or second[1] <= second[0]:
            assert overlaps == (0, 0)


def test_a_reversed_candidate_suppresses_and_matches_nothing():
    segments = np.array([[9, 2], [2, 9], [3, 8], [5, 5]], np.float32)
    scores, labels = np.array([0.9, 0.8, 0.7, 0.6], np.float32), np.zeros(4, np.int64)
    for options in ({"use_soft_nms": False, "iou_threshold": 0.5}, {"method": 0, "iou_threshold": 0.5}):
        kept, left, _ = batched_nms(segments, scores, labels, **options)
        assert kept[left > 0].tolist() == [[9, 2], [2, 9], [5, 5]]
    voted = batched_nms(segments, scores, labels, multiclass=False, voting_thresh=0.5, use_soft_nms=False,
                        iou_threshold=0.5)[0]  # fmt: skip
    assert voted[[0, 2]].tolist() == [[9, 2], [5, 5]]
    points = torch.tensor([[float(i), 0, 100, 1] for i in range(10)])
    classes, _ = assign_targets(points, [torch.tensor([[9.0, 2.0], [5.0, 5.0]])], [torch.tensor([0, 0])], 1)
    assert not classes.any()


@given(pairs)
def test_pairwise_holds_the_elementwise_values(pair):
    a, b = pair
    table = pairwise_tiou(a, b)
    assert table.shape == (len(a), len(b))
    close(table.diagonal(), segment_iou(a, b))
    close(table[0], segment_iou(a[:1].expand_as(b), b))


def test_points_without_length_have_finite_gradients():
    a = torch.tensor([[3.0, 3.0]], requires_grad=True)
    for f in (segment_iou, segment_giou, segment_diou):
        f(a, torch.tensor([[3.0, 3.0]])).sum().backward()
    assert torch.isfinite(a.grad).all()


def test_decoding_counts_in_strides():
    points = torch.tensor([[8.0, 0, 4, 4], [12.0, 0, 4, 4]])
    distances = torch.tensor([[[0.5, 2.0], [4.0, 0.0]]])
    assert decode_segments(points, distances).tolist() == [[[6.0, 16.0], [-4.0, 12.0]]]
