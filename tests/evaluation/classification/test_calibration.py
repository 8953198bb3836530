"""Calibration errors against a plain loop, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss
from unit_results import loop_ece, predictions

from opentad_bi.evaluation.classification.calibration import brier_score, classwise_ece, reliability

BINS = st.integers(1, 20)


def guesses(data):
    labels, probabilities = data
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


@given(predictions(), BINS)
def test_equal_width_bins_equal_a_plain_loop(data, bins):
    table = reliability(*guesses(data), bins)
    assert (table.ece, table.mce) == pytest.approx(loop_ece(*guesses(data), bins), abs=1e-12)
    assert table.count.sum() == len(data[0])


@given(predictions(), BINS)
def test_classwise_error_is_the_mean_over_one_class_against_the_rest(data, bins):
    labels, probabilities = data
    alone = [loop_ece(column, labels == k, bins)[0] for k, column in enumerate(probabilities.T)]
    assert classwise_ece(probabilities, labels, bins) == pytest.approx(np.mean(alone), abs=1e-12)


@given(predictions(), BINS, st.booleans())
def test_errors_are_ordered_and_bounded(data, bins, adaptive):
    table = reliability(*guesses(data), bins, adaptive=adaptive)
    assert 0 <= table.ece <= table.mce + 1e-12 and table.mce <= 1


@given(predictions(), st.randoms(use_true_random=False), BINS, st.booleans())
def test_the_order_of_samples_does_not_matter(data, random, bins, adaptive):
    confidence, correct = guesses(data)
    confidence = confidence.round(1)  # many are equal, so that bins of equal mass could cut between them
    order = list(range(len(confidence)))
    random.shuffle(order)
    first = reliability(confidence, correct, bins, adaptive=adaptive)
    second = reliability(confidence[order], correct[order], bins, adaptive=adaptive)
    assert first.ece == pytest.approx(second.ece, abs=1e-12) and (first.count == second.count).all()


@given(predictions(), st.randoms(use_true_random=False), BINS)
def test_renaming_the_classes_does_not_matter(data, random, bins):
    labels, probabilities = data
    order = list(range(probabilities.shape[1]))
    random.shuffle(order)
    renamed = np.argsort(order)[labels], probabilities[:, order]
    assert classwise_ece(renamed[1], renamed[0], bins) == pytest.approx(classwise_ece(probabilities, labels, bins))
    assert brier_score(renamed[1], renamed[0]) == pytest.approx(brier_score(probabilities, labels))
    assert reliability(*guesses(renamed), bins).ece == pytest.approx(reliability(*guesses(data), bins).ece)


@given(st.integers(1, 10), st.integers(1, 15), st.booleans())
def test_one_bin_alone_shows_the_gap_of_the_means(seed, bins, adaptive):
    rng = np.random.default_rng(seed)
    confidence, correct = np.full(40, 0.7), rng.random(40) < 0.5
    table = reliability(confidence, correct, bins, adaptive=adaptive)
    assert table.ece == pytest.approx(abs(correct.mean() - 0.7)) == table.mce


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_calibrated_classifier_has_no_error(adaptive):
    parts = [(np.full(100, c / 10), np.arange(100) < 10 * c) for c in range(1, 11)]
    confidence, correct = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    table = reliability(confidence, correct, 10, adaptive=adaptive)
    assert table.ece < 1e-12 and table.mce < 1e-12
    assert reliability(confidence, ~correct, 10, adaptive=adaptive).ece > 0.3


def test_samples_drawn_from_their_own_probabilities_are_nearly_calibrated():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.5, 0.5, 0.5], 20000)
    labels = (probabilities.cumsum(axis=1) > rng.random((20000, 1))).argmax(axis=1)
    sure = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    assert reliability(*sure).ece < 0.02 and reliability(*sure, adaptive=True).ece < 0.02
    assert classwise_ece(probabilities, labels) < 0.02


def test_bins_of_equal_mass_hold_as_many_samples():
    table = reliability(np.random.default_rng(1).random(150) ** 4, np.ones(150, bool), 15, adaptive=True)
    assert table.count.tolist() == [10] * 15


def test_bins_are_closed_above():
    table = reliability([0.0, 0.2, 0.20001, 1.0], [True] * 4, 5)
    assert table.count.tolist() == [2, 1, 0, 0, 1]


@given(predictions(max_classes=2))
def test_the_brier_score_of_two_classes_is_twice_that_of_scikit_learn(data):
    labels, probabilities = data
    theirs = brier_score_loss(labels, probabilities[:, 1], pos_label=1, labels=[0, 1])
    assert brier_score(probabilities, labels) == pytest.approx(2 * theirs)


def test_the_brier_score_goes_from_0_to_2():
    assert brier_score(np.eye(3), [0, 1, 2]) == 0 and brier_score(np.eye(3), [1, 2, 0]) == 2
