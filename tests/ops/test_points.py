import torch
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.segments import level_points
from opentad_bi.registry import POINT_GENERATORS


def test_points_may_sit_in_the_middle_of_their_cells():
    generator = POINT_GENERATORS.build(
        {"type": "PointGenerator", "strides": [1, 4], "regression_range": [(0, 4), (4, 99)], "use_offset": True}
    )
    assert [level[:, 0].tolist() for level in generator([3, 2])] == [[0.5, 1.5, 2.5], [2.0, 6.0]]


@given(st.integers(0, 50), st.sampled_from([1, 2, 8]), st.tuples(st.integers(0, 9), st.integers(10, 99)))
def test_points_sit_on_multiples_of_the_stride(length, stride, pair):
    points = level_points(length, stride, pair)
    assert points.shape == (length, 4) and points.dtype == torch.float32
    assert points[:, 0].tolist() == [i * stride for i in range(length)]
    assert (points[:, 1:] == torch.tensor([*pair, stride])).all()
