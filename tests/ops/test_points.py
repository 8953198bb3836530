import torch
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.points import level_points


@given(st.integers(0, 50), st.sampled_from([1, 2, 8]), st.tuples(st.integers(0, 9), st.integers(10, 99)))
def test_points_sit_on_multiples_of_the_stride(length, stride, pair):
    points = level_points(length, stride, pair)
    assert points.shape == (length, 4) and points.dtype == torch.float32
    assert points[:, 0].tolist() == [i * stride for i in range(length)]
    assert (points[:, 1:] == torch.tensor([*pair, stride])).all()
