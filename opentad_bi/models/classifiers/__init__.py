"""Classifiers of videos and of parts of them."""

from . import video_clip as video_clip
from . import video_feature_clip as video_feature_clip
