"""Prompt tuning on clips of classified videos (UCF101, HMDB51, Kinetics)."""

from . import dataset as dataset
from . import lists as lists
from . import pipeline as pipeline
