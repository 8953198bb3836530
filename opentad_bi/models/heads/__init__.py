"""Heads that predict class and boundaries at every point of a pyramid."""

from . import action_former_head as action_former_head
