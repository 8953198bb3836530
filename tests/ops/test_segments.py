import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.segments import decode_segments, pairwise_tiou, segment_diou, segment_giou, segment_iou

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
        torch.testing.assert_close(f(b, a), value)


@given(pairs)
def test_a_segment_agrees_with_itself(pair):
    a, _ = pair
    for f in (segment_iou, segment_giou, segment_diou):
        torch.testing.assert_close(f(a, a), torch.ones(len(a)), atol=1e-4, rtol=0)


def test_hand_made_values():
    a, b = torch.tensor([0.0, 4.0]), torch.tensor([2.0, 8.0])
    assert segment_iou(a, b) == pytest.approx(2 / 8)
    assert segment_giou(a, b) == pytest.approx(2 / 8)
    assert segment_diou(a, b) == pytest.approx(2 / 8 - 9 / 64)
    apart = torch.tensor([6.0, 8.0])
    assert segment_giou(a, apart) == pytest.approx(-2 / 8)
    assert segment_diou(a, apart) == pytest.approx(-25 / 64)


@given(pairs)
def test_pairwise_holds_the_elementwise_values(pair):
    a, b = pair
    table = pairwise_tiou(a, b)
    assert table.shape == (len(a), len(b))
    torch.testing.assert_close(table.diagonal(), segment_iou(a, b))
    torch.testing.assert_close(table[0], segment_iou(a[:1].expand_as(b), b))


def test_points_without_length_have_finite_gradients():
    a = torch.tensor([[3.0, 3.0]], requires_grad=True)
    for f in (segment_iou, segment_giou, segment_diou):
        f(a, torch.tensor([[3.0, 3.0]])).sum().backward()
    assert torch.isfinite(a.grad).all()


def test_decoding_counts_in_strides():
    points = torch.tensor([[8.0, 0, 4, 4], [12.0, 0, 4, 4]])
    distances = torch.tensor([[[0.5, 2.0], [4.0, 0.0]]])
    assert decode_segments(points, distances).tolist() == [[[6.0, 16.0], [-4.0, 12.0]]]
