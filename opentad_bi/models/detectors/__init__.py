"""Detectors: a single network, and a pair of one in each direction."""

from . import bidirectional as bidirectional
from . import single_stage as single_stage
