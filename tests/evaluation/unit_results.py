"""Results of a classifier, made by hand or by chance."""

import numpy as np
from hypothesis import strategies as st

from opentad_bi.ops.records import ClassScores, UnitMeta


def unit(video, start, probabilities, label=0, rows=1):
    """One ClassScores."""
    return ClassScores(UnitMeta(video, start, rows), label, np.asarray(probabilities, dtype=np.float32))


def anomaly_units(video, scores, rows=1, label=-1):
    """Units of two classes, normal and anomaly, one after the other, with these scores of anomaly."""
    return [unit(video, rows * i, [1 - s, s], label, rows) for i, s in enumerate(scores)]


def softmax(logits):
    """(N, C) -> (N, C), rows sum to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@st.composite
def predictions(draw, max_classes=8, max_samples=60):
    """(labels (N,), probabilities (N, C) float64): random, sharper or flatter, with classes that may not occur."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes, samples = draw(st.integers(2, max_classes)), draw(st.integers(1, max_samples))
    logits = rng.normal(size=(samples, classes)) * draw(st.sampled_from([0.1, 1.0, 5.0]))
    return rng.integers(0, draw(st.integers(1, classes)), samples), softmax(logits)


def loop_ece(confidence, correct, bins):
    """Expected and maximum calibration error, one sample and one bin after the other."""
    edges, total, worst = np.linspace(0, 1, bins + 1), 0.0, 0.0
    for k in range(bins):
        inside = [i for i, c in enumerate(confidence) if edges[k] < c <= edges[k + 1] or (k == 0 and c == 0)]
        if inside:
            gap = abs(sum(bool(correct[i]) for i in inside) - sum(confidence[i] for i in inside)) / len(inside)
            total += gap * len(inside) / len(confidence)
            worst = max(worst, gap)
    return total, worst
