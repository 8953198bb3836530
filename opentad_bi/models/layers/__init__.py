"""Small modules that projections, necks and heads share. Sequences are (B, C, T), kept channels-last in memory."""

from . import conv as conv
from . import norm as norm
