"""Losses."""

from . import contrast as contrast
from . import detection as detection
