"""Models that score the frames of videos for anomalies."""

from . import fg_clip as fg_clip
