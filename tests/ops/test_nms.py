"""Suppression against literal loops, and its laws."""

import itertools
import math
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from opentad_bi.ops import kernels
from opentad_bi.ops.nms import batched_nms, vote_segments


def candidates(seed, count, classes=3, length=50.0):
    """Random (segments, scores, labels)."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, length, count)
    segments = np.stack([start, start + rng.uniform(0, length / 4, count)], axis=1).astype(np.float32)
    return segments, rng.uniform(0.01, 1, count).astype(np.float32), rng.integers(0, classes, count)


def literal_overlap(a, b):
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return inter / ((a[1] - a[0] + 1e-6) + (b[1] - b[0] + 1e-6) - inter)


def literal_decay(ratio, own_length, method, threshold, sigma, t1, t2):
    if method == 0:
        return 0.0 if ratio >= threshold else 1.0
    if method == 1:
        return 1 - ratio if ratio >= threshold else 1.0
    if method == 3 and ratio < t1 + t2 * own_length:
        return 1.0
    return math.exp(-(ratio**2) / sigma)


def literal_soft(segments, scores, min_score, **rule):
    """Indices and scores as the definition reads."""
    left = {i: float(score) for i, score in enumerate(scores)}
    kept = []
    while left:
        best = max(left, key=left.get)
        kept.append((best, left.pop(best)))
        length = segments[best][1] - segments[best][0] + 1e-6
        for i in left:
            left[i] *= literal_decay(literal_overlap(segments[best], segments[i]), length, **rule)
        left = {i: score for i, score in left.items() if score >= min_score}
    return kept


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 40),
    method=st.sampled_from([0, 1, 2, 3]),
    min_score=st.sampled_from([0.0, 0.05]),
    multiclass=st.booleans(),
)
def test_soft_suppression_is_the_literal_loop(seed, count, method, min_score, multiclass):
    segments, scores, labels = candidates(seed, count)
    rule = {"method": method, "sigma": 0.6, "t1": 0.1, "t2": 0.02}
    ours = batched_nms(
        segments, scores, labels, iou_threshold=0.3, min_score=min_score, multiclass=multiclass, max_seg_num=30, **rule
    )
    expected = []
    for group in np.unique(labels) if multiclass else [None]:
        rows = np.flatnonzero(labels == group) if multiclass else np.arange(count)
        kept = literal_soft(segments[rows], scores[rows], min_score, threshold=0.3, **rule)
        expected += [(score, rows[i]) for i, score in kept[:30]]
    expected.sort(key=lambda kept: (-kept[0], kept[1]))
    near = [round(score, 5) for score, _ in expected[:31] if score]  # so close, rounding may swap them; not zeros
    expected = expected[:30]
    np.testing.assert_allclose(ours[1], [score for score, _ in expected], atol=2e-6)
    if len(set(near)) == len(near):
        np.testing.assert_array_equal(ours[2], labels[[i for _, i in expected]])
        np.testing.assert_array_equal(ours[0], segments[[i for _, i in expected]])


@given(
    seed=st.integers(0, 10**6), count=st.integers(1, 80), method=st.sampled_from([0, 1, 2, 3]), limit=st.integers(1, 60)
)
def test_decaying_only_who_is_first_in_line_changes_nothing(seed, count, method, limit):
    """Many equal scores and ends; numbers and their order must be the same bit for bit."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 20, count)
    segments = np.stack([start, start + rng.integers(0, 10, count)], axis=1).astype(np.float32)
    scores = (rng.integers(0, 6, count) / 5).astype(np.float32)
    offsets = np.unique([0, count // 3, count])
    rule = (method, *(np.float32(x) for x in (0.3, 0.6, 0.1, 0.02)))
    place = rng.permutation(count)
    for low, high in itertools.pairwise(offsets):
        place[low:high].sort()
    rows, decayed = kernels.soft_nms_by_group(segments, scores, offsets, limit, rule, np.float32(0))
    best = np.lexsort((place[rows], -decayed))[:limit]
    by_score = np.lexsort((place, -scores))
    lazy_rows, lazy_decayed = kernels.lazy_soft_nms(segments, scores, place, by_score, offsets, limit, rule)
    np.testing.assert_array_equal(lazy_rows, rows[best])
    np.testing.assert_array_equal(lazy_decayed, decayed[best])


@given(seed=st.integers(0, 10**6), count=st.integers(1, 40), threshold=st.sampled_from([0.2, 0.5]), equal=st.booleans())
def test_hard_suppression_is_the_literal_loop(seed, count, threshold, equal):
    segments, scores, labels = candidates(seed, count)
    scores = scores.round(1) if equal else scores
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        rivals = (j for j in kept if labels[i] == labels[j])
        if all(literal_overlap(segments[i], segments[j]) < threshold for j in rivals):
            kept.append(i)
    ours = batched_nms(segments, scores, labels, use_soft_nms=False, iou_threshold=threshold)
    np.testing.assert_array_equal(ours[0], segments[kept])
    np.testing.assert_array_equal(ours[1], scores[kept])


@given(seed=st.integers(0, 10**6))
def test_a_wide_gaussian_keeps_the_scores(seed):
    segments, scores, labels = candidates(seed, 30)
    kept = batched_nms(segments, scores, labels, sigma=1e9)
    np.testing.assert_allclose(kept[1], np.sort(scores)[::-1], rtol=1e-6)


@given(seed=st.integers(0, 10**6))
def test_the_order_of_candidates_does_not_matter(seed):
    segments, scores, labels = candidates(seed, 40)
    mixed = np.random.default_rng(seed).permutation(40)
    for options in ({}, {"use_soft_nms": False, "iou_threshold": 0.3}, {"multiclass": False, "min_score": 0.1}):
        one = batched_nms(segments, scores, labels, **options)
        other = batched_nms(segments[mixed], scores[mixed], labels[mixed], **options)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_scores_fall_and_the_cap_holds():
    segments, scores, labels = candidates(0, 300, classes=5)
    kept = batched_nms(segments, scores, labels, max_seg_num=17)
    assert len(kept[0]) == len(kept[1]) == len(kept[2]) == 17
    assert (np.diff(kept[1]) <= 0).all()


def test_minimum_score_drops_what_decays_below_but_never_the_best():
    twins = np.array([[0.0, 10.0], [0.0, 10.0]], np.float32)
    kept = batched_nms(twins, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64), min_score=0.2, sigma=0.5)
    assert len(kept[0]) == 1
    kept = batched_nms(twins[:1], np.array([0.1], np.float32), np.zeros(1, np.int64), min_score=0.2)
    assert len(kept[0]) == 1


def test_equal_scores_go_by_the_order_given():
    """What was kept before, and the class, do not touch the order of equals."""
    segments = np.array([[0, 1], [10, 11], [20, 21], [30, 31]], np.float32)
    scores = np.array([0.5, 0.5, 0.9, 0.5], np.float32)
    for options in ({}, {"min_score": 0.1}, {"use_soft_nms": False, "iou_threshold": 0.5}):
        for labels in ([0, 0, 0, 0], [1, 0, 0, 1], [2, 1, 0, 0]):
            kept = batched_nms(segments, scores, np.array(labels), **options)
            assert kept[0][:, 0].tolist() == [20, 0, 10, 30]
            kept = batched_nms(segments, scores, np.array(labels), max_seg_num=2, **options)
            assert kept[0][:, 0].tolist() == [20, 0]


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 60),
    method=st.sampled_from([0, 1]),
    min_score=st.sampled_from([0.0, 0.15]),
    multiclass=st.booleans(),
    limit=st.sampled_from([5, 60]),
)
def test_many_equal_scores_are_the_literal_loop_to_the_bit(seed, count, method, min_score, multiclass, limit):
    """Scores of one decimal and whole seconds; the literal loop takes the first of equals and rounds as ours does."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 20, count)
    segments = np.stack([start, start + rng.integers(1, 10, count)], axis=1).astype(np.float32)
    scores, labels = (rng.integers(1, 6, count) / np.float32(10)).astype(np.float32), rng.integers(0, 3, count)
    rule = {"method": method, "sigma": 0.6, "t1": 0.1, "t2": 0.02}
    options = {"iou_threshold": 0.3, "min_score": min_score, "multiclass": multiclass, "max_seg_num": limit}
    expected = []
    for group in np.unique(labels) if multiclass else [None]:
        rows = np.flatnonzero(labels == group) if multiclass else np.arange(count)
        kept = literal_soft(segments[rows], scores[rows], np.float32(min_score), threshold=np.float32(0.3), **rule)
        expected += [(-np.float32(score), rows[i]) for i, score in kept[:limit]]
    values, rows = zip(*sorted(expected)[:limit], strict=True)
    ours = batched_nms(segments, scores, labels, **options, **rule)
    np.testing.assert_array_equal(ours[1], [-value for value in values])
    np.testing.assert_array_equal(ours[0], segments[list(rows)])
    np.testing.assert_array_equal(ours[2], labels[list(rows)])


def test_voting_moves_to_the_weighted_mean_without_classes_only():
    segments = np.array([[0, 10], [0, 12], [50, 60]], np.float32)
    scores = np.array([0.6, 0.2, 0.5], np.float32)
    labels = np.array([0, 0, 1])
    options = {"use_soft_nms": False, "iou_threshold": 0.5, "voting_thresh": 0.7}
    voted = batched_nms(segments, scores, labels, multiclass=False, **options)
    np.testing.assert_allclose(voted[0], [[0, 10.5], [50, 60]], rtol=1e-6)
    plain = batched_nms(segments, scores, labels, multiclass=True, **options)
    np.testing.assert_array_equal(plain[0], segments[[0, 2]])
    np.testing.assert_allclose(vote_segments(segments[:1], segments, scores, 0.7), [[0, 10.5]], rtol=1e-6)


def test_tensors_and_arrays_give_the_same_in_kind():
    arrays = candidates(3, 50)
    tensors = tuple(torch.from_numpy(x) for x in arrays)
    from_arrays, from_tensors = batched_nms(*arrays), batched_nms(*tensors)
    for a, t in zip(from_arrays, from_tensors, strict=True):
        assert isinstance(a, np.ndarray)
        np.testing.assert_array_equal(a, t.numpy())
    assert [t.dtype for t in from_tensors] == [torch.float32, torch.float32, torch.int64]


@pytest.mark.parametrize("options", [{}, {"use_soft_nms": False, "min_score": 0.99, "iou_threshold": 0.5}])
def test_nothing_left_is_empty(options):
    empty = batched_nms(*candidates(0, 0), **options)
    assert [x.shape for x in empty] == [(0, 2), (0,), (0,)]
    segments, _, labels = candidates(0, 5)
    low = batched_nms(segments, np.full(5, 0.1, np.float32), labels, use_soft_nms=False, min_score=0.99)
    assert [x.shape for x in low] == [(0, 2), (0,), (0,)]


def test_refused_arguments_are_named():
    segments, scores, labels = candidates(0, 5)
    with pytest.raises(ValueError, match="method 7"):
        batched_nms(segments, scores, labels, method=7)
    for spoilt in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            batched_nms(segments, np.full(5, spoilt, np.float32), labels)
        with pytest.raises(ValueError, match="finite"):
            batched_nms(segments * np.float32(spoilt), scores, labels)
    with pytest.raises(ValueError, match="sigma"):
        batched_nms(segments, scores, labels, sigma=0)
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        batched_nms(scores, scores, labels)
    with pytest.raises(ValueError, match="one entry per segment"):
        batched_nms(segments, scores[:3], labels)


def test_the_compiled_loop_leaves_the_interpreter_lock():
    """While one thread is inside a long suppression, another one keeps running Python."""
    segments, scores, _ = candidates(0, 12000, length=20.0)
    labels = np.zeros(12000, np.int64)
    batched_nms(segments[:10], scores[:10], labels[:10])
    worker = threading.Thread(
        target=batched_nms, args=(segments, scores, labels), kwargs={"min_score": 1e-9, "max_seg_num": 12000}
    )
    began = last = time.perf_counter()
    longest = 0.0
    worker.start()
    while worker.is_alive():
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    assert longest < (last - began) / 2


def test_where_nothing_can_be_written_the_loops_still_compile(monkeypatch):
    real = kernels.numba.njit

    def read_only(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(kernels.numba, "njit", read_only)
    assert kernels.kernel(lambda x: x + 1)(2) == 3


def test_import_does_not_compile():
    code = "import sys, opentad_bi.ops.nms, opentad_bi.ops.average_precision; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
