"""Prompts of texts and of frames."""

from . import class_prompts as class_prompts
from . import couplings as couplings
from . import fixed_texts as fixed_texts
from . import prompt_learner as prompt_learner
from . import visual_prompts as visual_prompts
