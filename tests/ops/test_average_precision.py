"""Average precision against a literal loop, and its laws."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.average_precision import Segments, average_precision, match, top_k_recall

THRESHOLDS = (0.3, 0.5, 0.7)
SEEDS = st.integers(0, 10**6)


def truth_of(seed, count=20, classes=3, videos=4):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 100, count)
    segments = np.stack([start, start + rng.uniform(1, 20, count)], axis=1)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)])
    return Segments(segments, labels, rng.integers(0, videos, count))


def noisy(truth, seed, extra=25):
    """Predictions near the truth with jitter, and some anywhere; scores are all different."""
    rng = np.random.default_rng(seed + 1)
    near = truth.rows(rng.integers(0, len(truth), 2 * len(truth)))
    start = rng.uniform(0, 110, extra)
    segments = np.concatenate(
        [near.segments + rng.normal(0, 2, near.segments.shape), np.stack([start, start + 5], axis=1)]
    )
    labels = np.concatenate([near.labels, rng.integers(-1, 3, extra)])
    videos = np.concatenate([near.videos, rng.integers(0, 6, extra)])
    return Segments(segments, labels, videos, rng.permutation(len(labels)) / len(labels))


def precision_of(truth, predictions, classes=3):
    return average_precision(match(truth, predictions, classes), THRESHOLDS)


def overlap(a, b):
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return inter / max((a[1] - a[0]) + (b[1] - b[0]) - inter, 1e-8)


def literal_precision(truth, predictions, label, threshold):
    """The definition: greedy matching by falling score, all-point interpolation."""
    targets = [i for i in range(len(truth)) if truth.labels[i] == label]
    ranked = sorted(
        (i for i in range(len(predictions)) if predictions.labels[i] == label), key=lambda i: -predictions.scores[i]
    )
    free, hits = set(targets), []
    for i in ranked:
        own = [g for g in targets if truth.videos[g] == predictions.videos[i]]
        own.sort(key=lambda g: -overlap(predictions.segments[i], truth.segments[g]))
        good = [g for g in own if g in free and overlap(predictions.segments[i], truth.segments[g]) >= threshold]
        hits.append(bool(good))
        free -= set(good[:1])
    area, found = 0.0, 0
    for rank, hit in enumerate(hits):
        found += hit
        later = [sum(hits[: r + 1]) / (r + 1) for r in range(rank, len(hits))]
        area += hit * max(later) / len(targets)
    return area


@given(seed=SEEDS)
def test_it_is_the_literal_loop(seed):
    truth = truth_of(seed)
    predictions = noisy(truth, seed)
    expected = [[literal_precision(truth, predictions, c, t) for c in range(3)] for t in THRESHOLDS]
    np.testing.assert_allclose(precision_of(truth, predictions), expected, atol=1e-12)


@given(seed=SEEDS)
def test_perfect_predictions_have_precision_and_recall_one(seed):
    truth = truth_of(seed)
    predictions = Segments(truth.segments, truth.labels, truth.videos, np.linspace(0.1, 0.9, len(truth)))
    matching = match(truth, predictions, 3)
    np.testing.assert_allclose(average_precision(matching, THRESHOLDS), 1.0, atol=1e-12)
    np.testing.assert_allclose(top_k_recall(matching, THRESHOLDS, [1, 5]), 1.0, atol=1e-12)


@given(seed=SEEDS)
def test_the_order_of_rows_does_not_matter(seed):
    truth = truth_of(seed)
    predictions = noisy(truth, seed)
    rng = np.random.default_rng(seed)
    mixed = precision_of(truth.rows(rng.permutation(len(truth))), predictions.rows(rng.permutation(len(predictions))))
    np.testing.assert_allclose(mixed, precision_of(truth, predictions), atol=1e-12)


@given(seed=SEEDS)
def test_one_more_false_positive_at_the_end_never_helps(seed):
    truth = truth_of(seed)
    predictions = noisy(truth, seed)
    before = precision_of(truth, predictions)
    for start, video in ((1000.0, 0), (5.0, 99)):  # outside every true segment; a video without any
        more = Segments(
            np.concatenate([predictions.segments, [[start, start + 4]]]),
            np.append(predictions.labels, seed % 3),
            np.append(predictions.videos, video),
            np.append(predictions.scores, -1.0),
        )
        assert (precision_of(truth, more) <= before + 1e-12).all()


@given(seed=SEEDS)
def test_a_stricter_overlap_never_helps(seed):
    truth = truth_of(seed)
    matching = match(truth, noisy(truth, seed), 3)
    recall = top_k_recall(matching, THRESHOLDS, [1, 2, 5])
    assert (np.diff(recall, axis=0) <= 1e-12).all()
    assert (np.diff(recall, axis=1) >= -1e-12).all()


def test_a_class_without_predictions_has_zero():
    truth = truth_of(0)
    predictions = noisy(truth, 0)
    area = precision_of(truth, predictions.rows(predictions.labels != 1))
    assert (area[:, 1] == 0).all() and (area[0, [0, 2]] > 0).all()


def test_no_predictions_at_all():
    truth = truth_of(0)
    empty = noisy(truth, 0).rows(np.zeros(0, np.int64))
    matching = match(truth, empty, 3)
    assert (average_precision(matching, THRESHOLDS) == 0).all()
    assert (top_k_recall(matching, THRESHOLDS, [1]) == 0).all()


def test_a_true_segment_is_found_once():
    truth = Segments(np.array([[0.0, 10.0]]), np.array([0]), np.array([0]))
    twice = Segments(np.array([[0.0, 10.0], [0.0, 10.0]]), np.array([0, 0]), np.array([0, 0]), np.array([0.5, 0.9]))
    wrong_first = Segments(np.array([[50.0, 60.0], [0, 10]]), np.array([0, 0]), np.array([0, 0]), np.array([0.9, 0.5]))
    assert precision_of(truth, twice, 1).tolist() == [[1.0]] * 3
    assert precision_of(truth, wrong_first, 1).tolist() == [[0.5]] * 3
