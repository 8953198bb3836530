"""Losses of detectors; all of them elementwise, the caller reduces."""

from . import focal_loss as focal_loss
from . import segment_loss as segment_loss
