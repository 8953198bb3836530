"""Fusions of the forward and the backward network, and the modules that mix what both say."""

from . import class_conv3d as class_conv3d
from . import class_mean as class_mean
from . import gated_average as gated_average
from . import point_fc as point_fc
from . import realigned as realigned
from . import time_fc as time_fc
