"""Detection on any video, from Python: no data set, no annotation file, no process group."""

from ..registry import log_renamed
from .anomaly import AnomalyDetector, VideoAnomalies, detect_anomaly, heat_frames, init_anomaly_detector, localize
from .detection import Detector, VideoDetections, detect, detect_all, init_detector

__all__ = [
    "AnomalyDetector",
    "Detector",
    "VideoAnomalies",
    "VideoDetections",
    "detect",
    "detect_all",
    "detect_anomaly",
    "heat_frames",
    "init_anomaly_detector",
    "init_detector",
    "localize",
]


def __getattr__(name: str) -> object:
    if name == "localise":
        log_renamed("localise", "localize")
        return localize
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
