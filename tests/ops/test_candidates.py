import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.nms import batched_nms
from opentad_bi.ops.segments import select_candidates


@given(st.integers(0, 12), st.integers(2, 4), st.integers(1, 30), st.integers(0, 10**6))
def test_the_best_pairs_in_order(points, classes, topk, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 8, (points, classes), generator=generator) / 8
    segments = torch.rand(points, 2, generator=generator)
    found = select_candidates(segments, scores, thresh=0.25, topk=topk)
    pairs = [(-scores[i, c].item(), i, c) for i in range(points) for c in range(classes) if scores[i, c] > 0.25]
    expected = sorted(pairs)[:topk]
    assert found.scores.tolist() == [-s for s, _, _ in expected]
    assert found.labels.tolist() == [c for _, _, c in expected]
    assert found.segments.tolist() == [segments[i].tolist() for _, i, _ in expected]


def test_a_single_class_keeps_every_point():
    found = select_candidates(torch.rand(5, 2), torch.tensor([[0.0], [0.3], [0.0], [0.9], [0.1]]), topk=2)
    assert found.scores.tolist() == pytest.approx([0.9, 0.3, 0.1, 0, 0])
    assert not found.labels.any()


@pytest.mark.parametrize("classes", [1, 3])
def test_a_score_that_is_nan_is_never_dropped(classes):
    scores = torch.full((4, classes), 0.5)
    scores[2, 0] = float("nan")
    found = select_candidates(torch.rand(4, 2), scores, topk=2)
    assert found.scores[0].isnan() and found.labels[0] == 0
    with pytest.raises(ValueError, match="must be finite"):
        batched_nms(found.segments, found.scores, found.labels)
