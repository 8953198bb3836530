"""Detection on any video, from Python: no data set, no annotation file, no process group."""

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
