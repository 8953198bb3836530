"""Temporal action detection: annotated actions in untrimmed videos."""

from . import cached_predictions as cached_predictions
from . import features as features
from . import paired as paired
from . import pipeline as pipeline
from . import stream as stream
from . import thumos as thumos
