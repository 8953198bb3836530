"""Both directions' candidates of a window as one list."""

import numpy as np

from .post_processing import Window

# N candidates of one direction, M of the other


def merge_directions(forward, backward, agreement=None):
    """The candidates of both directions, which hold the same windows in the same order.

    Args:
        forward, backward: {video: [Window, ...]}, both in forward time.
        agreement: None: scores stay as they are. A number p: a candidate's score becomes the mean of its own and of
            what the other direction says about it, the highest tIoU ** p * score among its candidates of the class;
            so what one direction alone believes in counts half.
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
    """`own` with every score averaged with the support of `other`'s candidates (see `merge_directions`)."""
    import torch  # only here: evaluating saved results does without it

    from ..ops.segments import pairwise_tiou

    support = np.zeros_like(own.scores)
    for label in np.intersect1d(own.labels, other.labels):
        mine, theirs = own.labels == label, other.labels == label
        overlap = pairwise_tiou(*(torch.from_numpy(x) for x in (own.segments[mine], other.segments[theirs]))).numpy()
        support[mine] = (overlap**power * other.scores[theirs]).max(axis=1)  # over (N, M)
    return Window(own.meta, own.segments, (own.scores + support) / 2, own.labels)
