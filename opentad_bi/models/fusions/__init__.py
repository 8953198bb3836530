"""Fusions of the forward and the backward network, and the modules that mix their maps."""

from . import mixers as mixers
from . import realigned as realigned
