"""Captioned videos with moving regions, and whole videos to score."""

from . import dataset as dataset
from . import stream as stream
