"""Whole detectors: from frames or features to segments with classes and scores."""

from . import bidirectional as bidirectional
from . import padding as padding
from . import single_stage as single_stage
