"""Intervals cover exactly the rows that score enough; pictures are of the highest rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.evaluation.anomaly.localization import highest_rows, likeliest, score_intervals, video_probabilities

CLASSES = ["Fire", "Normal", "Crash"]
rows = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30).map(np.array)


def found_in(scores, threshold, edges=None):
    probabilities = np.stack([scores * 0.3, 1 - scores, scores * 0.7], axis=1)
    edges = np.arange(len(scores) + 1) / 2 if edges is None else edges
    return score_intervals(scores, probabilities, edges, classes=CLASSES, normal=1, threshold=threshold)


@given(scores=rows, threshold=st.floats(0.01, 1))
def test_a_row_is_inside_an_interval_if_it_scores_enough(scores, threshold):
    found = found_in(scores, threshold)
    middles = np.arange(len(scores)) / 2 + 0.25
    inside = np.zeros(len(scores), dtype=bool)
    for entry in found:
        start, end = entry["segment"]
        own = (start < middles) & (middles < end)
        assert not inside[own].any() and own.any() and entry["label"] == "Crash"
        assert entry["score"] == scores[own].max() and entry["peak_sec"] in middles[own]
        inside |= own
    assert np.array_equal(inside, scores >= threshold)
    bounds = [bound for entry in found for bound in entry["segment"]]
    assert bounds == sorted(set(bounds))  # in order, and a row without score in between


def test_seconds_are_those_of_the_edges():
    found = found_in(np.array([0.0, 0.6, 0.9, 0.2]), 0.5, [0.0, 1.0, 4.0, 5.0, 5.5])
    assert found == [{"segment": [1.0, 5.0], "label": "Crash", "score": 0.9, "peak_sec": 4.5}]


@given(scores=rows, count=st.integers(1, 40))
def test_as_many_rows_as_there_are_and_the_highest_among_them(scores, count):
    found = highest_rows(scores, count)
    assert len(found) == min(count, len(scores)) and found == sorted(set(found))
    assert scores[found].max() == scores.max()


def test_rows_keep_apart():
    scores = np.concatenate([np.linspace(0.5, 1, 100), np.zeros(60)])
    assert highest_rows(scores, 2) == [78, 99]
    assert highest_rows(np.array([0.1, 0.9, 0.8]), 2) == [1, 2]


def test_the_highest_sixteenth_speaks_for_the_video():
    scores = np.zeros(33)
    scores[[3, 20, 30]] = 0.9, 0.8, 0.7
    probabilities = np.tile([0.0, 1.0, 0.0], (33, 1))
    probabilities[[3, 20, 30]] = [[0.9, 0.1, 0.0], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]]
    means = video_probabilities(scores, probabilities)
    assert means == pytest.approx(probabilities[[3, 20, 30]].mean(axis=0))
    assert likeliest(means, 1) == 0 and likeliest([0.2, 0.1, 0.3], 2) == 0
    assert video_probabilities(scores[:1], probabilities[:1]).tolist() == [0, 1, 0]
