"""Names of directions, as detections, metrics and result files are keyed by them."""

FORWARD, BACKWARD = "for", "back"
PAIR = (FORWARD, BACKWARD)
MERGED = "merged"  # the candidates of both, through one non-maximum suppression
FUSED_PAIR = ("fused_for", "fused_back")  # outputs of a fusion on the basis of either direction
FUSED = "fused"  # the candidates of both bases, through one non-maximum suppression
SINGLE = "model"  # the one direction of a single network

JOINED = {MERGED: PAIR, FUSED: FUSED_PAIR}


def chief(by_direction):
    """The direction that stands for the whole: fused, else merged, else the single network, else the first."""
    return next((d for d in (FUSED, MERGED, SINGLE) if d in by_direction), next(iter(by_direction)))
