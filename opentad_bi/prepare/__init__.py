"""Making data: reversed videos and annotations, a demonstration set, untrimmed videos from trimmed clips."""

from . import reverse_annotations, reverse_folder, reverse_video, verify

__all__ = ["reverse_annotations", "reverse_folder", "reverse_video", "verify"]
