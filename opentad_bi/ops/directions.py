"""Names of directions, as detections, metrics and result files are keyed by them."""

FORWARD, BACKWARD = "for", "back"
MERGED = "merged"  # both, through one non-maximum suppression
SINGLE = "model"  # the one direction of a single network
