import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.segments import assign_targets, decode_segments, level_points

CLASSES = 3
POINTS = torch.cat([level_points(32 // s, s, r) for s, r in ((1, (0, 4)), (2, (4, 8)), (4, (8, 100)))])
half = st.integers(0, 64).map(lambda n: n / 2)
instance = st.tuples(half, half, st.integers(0, CLASSES - 1)).filter(lambda g: g[0] < g[1])
sample = st.lists(instance, max_size=5)


def tensors(samples):
    segments = [torch.tensor([g[:2] for g in s]).reshape(-1, 2) for s in samples]
    return segments, [torch.tensor([g[2] for g in s], dtype=torch.int32) for s in samples]


def literal(points, instances, radius, similar_only):
    """The rule of the paper, one point and one instance at a time."""
    cls, reg = torch.zeros(len(points), CLASSES), torch.zeros(len(points), 2)
    for row, (p, low, high, stride) in enumerate(points.tolist()):
        allowed = []
        for index, (start, end, _) in enumerate(instances):
            left, right = p - start, end - p
            inside = min(left, right) > 0
            if radius is not None:
                inside = inside and abs(p - (start + end) / 2) < radius * stride
            if inside and low <= max(left, right) <= high:
                allowed.append(index)
        lengths = [instances[i][1] - instances[i][0] for i in allowed]
        for i, length in zip(allowed, lengths, strict=True):
            if not similar_only or length <= min(lengths) + 1e-3:
                cls[row, instances[i][2]] = 1
        if instances:
            start, end, _ = instances[allowed[lengths.index(min(lengths))] if allowed else 0]
            reg[row] = torch.tensor([p - start, end - p]) / stride
    return cls, reg


@given(st.lists(sample, min_size=1, max_size=3), st.sampled_from([1.5, 0.5, None]), st.booleans())
def test_equals_the_literal_rule(samples, radius, similar_only):
    cls, reg = assign_targets(POINTS, *tensors(samples), CLASSES, radius=radius, filter_similar_gt=similar_only)
    for i, instances in enumerate(samples):
        expected_cls, expected_reg = literal(POINTS, instances, radius, similar_only)
        assert torch.equal(cls[i], expected_cls)
        close(reg[i], expected_reg)


@given(sample.filter(len))
def test_decoding_the_targets_of_positives_gives_instances_back(instances):
    segments, labels = tensors([instances])
    cls, reg = assign_targets(POINTS, segments, labels, CLASSES)
    positive = cls[0].any(1)
    decoded = decode_segments(POINTS, reg[0])[positive]
    distance = (decoded[:, None] - segments[0][None]).abs().amax(-1)
    assert (distance.amin(1) < 1e-4).all()


@given(st.lists(sample, min_size=2, max_size=3))
def test_a_sample_does_not_see_its_neighbours_in_the_batch(samples):
    together = assign_targets(POINTS, *tensors(samples), CLASSES)
    for i, alone in enumerate(samples):
        for batch, single in zip(together, assign_targets(POINTS, *tensors([alone]), CLASSES), strict=True):
            assert torch.equal(batch[i], single[0])


def test_no_instance_anywhere_gives_zeros():
    cls, reg = assign_targets(POINTS, *tensors([[], []]), CLASSES)
    assert cls.shape == (2, len(POINTS), CLASSES) and reg.shape == (2, len(POINTS), 2)
    assert not cls.any() and not reg.any()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_equally_short_instances_the_first_gives_the_distances(order):
    instances = [(8.0, 12.0, 0), (9.0, 13.0, 1)]
    instances = [instances[i] for i in order]
    cls, reg = assign_targets(POINTS, *tensors([instances]), CLASSES)
    assert cls[0, 10].tolist() == [1, 1, 0]  # both classes stay
    assert decode_segments(POINTS, reg[0])[10].tolist() == list(instances[0][:2])
