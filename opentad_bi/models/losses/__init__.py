"""Losses: those of detectors are elementwise, and the caller reduces; the contrast of pairs is a mean."""

from . import focal_loss as focal_loss
from . import segment_loss as segment_loss
