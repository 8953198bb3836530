"""Classification of videos: accuracy, calibration."""
