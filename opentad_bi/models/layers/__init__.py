"""Small modules that projections, necks and heads share. Sequences are (B, C, T), kept channels-last in memory."""

from . import conv_unit as conv_unit
from . import cpu_conv as cpu_conv
from . import drop_path as drop_path
from . import norm as norm
from . import scale as scale
from . import time_conv as time_conv
