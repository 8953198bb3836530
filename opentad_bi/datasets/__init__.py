"""The datasets of opentad_bi; importing this package registers them, the transforms and the video readers."""

from . import (
    cached_predictions,
    frame_stream,
    paired,
    readers,
    region_video,
    stream,
    thumos14,
    transforms,
    video_feature,
    video_folder,
    video_lists,
    video_mix,
)
from .annotation import write_class_map

__all__ = [
    "cached_predictions",
    "frame_stream",
    "paired",
    "readers",
    "region_video",
    "stream",
    "thumos14",
    "transforms",
    "video_feature",
    "video_folder",
    "video_lists",
    "video_mix",
    "write_class_map",
]
