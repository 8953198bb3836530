"""Learned prompts: vectors among the tokens of a text tower or of a visual tower, and between both."""

from . import conditional as conditional
from . import fixed_texts as fixed_texts
from . import mapped_prompts as mapped_prompts
from . import prompt_learner as prompt_learner
from . import video_summary as video_summary
from . import video_to_text as video_to_text
from . import visual_context as visual_context
