"""Temporal action detection: mAP, post-processing, files of predictions."""
