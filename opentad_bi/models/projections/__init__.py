"""Projections of a feature sequence onto a pyramid."""

from . import attention as attention
from . import conv_transformer as conv_transformer
