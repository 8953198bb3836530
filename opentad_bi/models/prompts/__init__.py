"""Learned prompts: vectors among the tokens of a text tower."""

from . import prompt_learner as prompt_learner
