"""Prompt learning on feature files (UCF-Crime)."""

from . import dataset as dataset
