"""From scores along time to intervals, and to the class of a whole video.

R rows, C classes
"""

import numpy as np

TOP_SHARE = 1 / 16  # rows that speak for a video


def score_intervals(scores, probabilities, edges_sec, *, classes, normal, threshold):
    """Where the score is at least `threshold`, in order of time.

    Args:
        scores: (R,) float, how anomalous each row is.
        probabilities: (R, C) float.
        edges_sec: (R + 1,) float; row r lasts from edge r to edge r + 1.
        classes: names by label.
        normal: label of the class that is no anomaly.
        threshold: the least score.
    Returns:
        [{"segment": [start_sec, end_sec], "label", "score", "peak_sec"}, ...]: the anomaly that is most probable on the
        average over the rows, the highest score, and the middle of its row.
    """
    over = np.concatenate([[False], np.asarray(scores) >= threshold, [False]])
    changes = np.flatnonzero(over[1:] != over[:-1])
    found = []
    for start, stop in changes.reshape(-1, 2):
        peak = start + int(np.argmax(scores[start:stop]))
        found.append(
            {
                "segment": [float(edges_sec[start]), float(edges_sec[stop])],
                "label": classes[likeliest(probabilities[start:stop].mean(axis=0), normal)],
                "score": float(scores[peak]),
                "peak_sec": float(edges_sec[peak] + edges_sec[peak + 1]) / 2,
            }
        )
    return found


def video_probabilities(scores, probabilities):
    """Mean probabilities of the sixteenth of the rows that scores highest, at least of one.  (R,), (R, C) -> (C,)"""
    count = int(np.ceil(len(scores) * TOP_SHARE))
    return probabilities[np.argsort(-np.asarray(scores), kind="stable")[:count]].mean(axis=0)


def likeliest(probabilities, normal):
    """Label of the most probable class that is not the normal one.  (C,) -> int"""
    others = np.array(probabilities, dtype=np.float64)
    others[normal] = -np.inf
    return int(np.argmax(others))


def highest_rows(scores, count):
    """Rows of the highest scores, at most `count`, rising, with some room in between where there are many rows."""
    scores, apart = np.asarray(scores), len(scores) // (4 * max(count, 1))
    free, found = np.ones(len(scores), dtype=bool), []
    while len(found) < count and free.any():
        row = int(np.argmax(np.where(free, scores, -np.inf)))
        free[max(0, row - apart) : row + apart + 1] = False
        found.append(row)
    return sorted(found)
