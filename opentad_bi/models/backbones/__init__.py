"""Networks that turn frames into a feature sequence."""

from .i3d import I3D
from .i3d_weights import i3d_state_dict
from .tia_adapter import Adapter, PlainAdapter
from .video_backbone import VideoBackbone
from .vit_adapter import VisionTransformerAdapter

__all__ = [
    "I3D",
    "Adapter",
    "PlainAdapter",
    "VideoBackbone",
    "VisionTransformerAdapter",
    "i3d_state_dict",
]
