"""Detection on any video, from Python: no data set, no annotation file, no process group."""

from .detector import Detector, init_detector
from .inference import VideoDetections, detect, detect_all

__all__ = ["Detector", "VideoDetections", "detect", "detect_all", "init_detector"]
