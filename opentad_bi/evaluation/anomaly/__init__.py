"""Video anomaly detection: frame-level AUC, localization, retrieval."""
