"""Heads that say class and boundaries at every point of a pyramid."""

from . import action_former_head as action_former_head
from . import joined_levels as joined_levels
from . import point_generator as point_generator
