"""Both directions' candidates of a window as one list."""

import numpy as np

from .post_processing import Window

# N candidates of one direction, M of the other


def merge_directions(forward, backward, agreement=None):
    """The candidates of both directions, which hold the same windows in the same order.

    Args:
        forward, backward: {video: [Window, ...]}, both in forward time.
        agreement: None: candidates stay as they are. A number p: of the other direction's candidates of the class,
            the one with the highest support tIoU ** p * score is asked. The score becomes the mean of its own and of
            the support, so what one direction alone believes in counts half; start and end become means weighted
            by the own score and half the support.
    Returns:
        {video: [Window, ...]}
    """
    if agreement is not None and agreement <= 0:
        raise ValueError(f"agreement {agreement} must be a positive number, or None")
    merged = {}
    for video, windows in forward.items():
        pairs = list(zip(windows, backward[video], strict=True))
        if agreement is not None:
            pairs = [(rescore(own, other, agreement), rescore(other, own, agreement)) for own, other in pairs]
        merged[video] = [own.joined(other) for own, other in pairs]
    return merged


def rescore(own, other, power):
    """`own` (N candidates) averaged with its best supporters among `other` (M), see `merge_directions`: a new Window.

    N x M overlaps of one class are held at a time.
    """
    import torch  # only here: evaluating saved results does without it

    from ..ops.segments import pairwise_tiou

    support, partner = np.zeros_like(own.scores), own.segments.copy()
    for label in np.intersect1d(own.labels, other.labels):
        mine, theirs = own.labels == label, other.labels == label
        overlap = pairwise_tiou(*(torch.from_numpy(x) for x in (own.segments[mine], other.segments[theirs]))).numpy()
        # float64, as the last bit of a float32 power depends on the CPU
        found = overlap.astype(np.float64) ** power * other.scores[theirs]  # (N, M)
        support[mine], partner[mine] = found.max(axis=1), other.segments[theirs][found.argmax(axis=1)]
    weight = (support / 2 / np.maximum(own.scores + support / 2, 1e-9))[:, None]
    segments = own.segments + weight * (partner - own.segments)
    return Window(own.meta, segments, (own.scores + support) / 2, own.labels)
