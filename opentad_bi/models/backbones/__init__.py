"""Networks that turn frames into a feature sequence."""

from .conv3d_adapter import Conv3DAdapter
from .frozen_linear import linear
from .i3d import I3D
from .i3d_weights import i3d_state_dict
from .positions import resize_table, sine_cosine_table
from .tia_adapter import Adapter, PlainAdapter
from .video_backbone import VideoBackbone
from .vit_adapter import VisionTransformerAdapter
from .vit_block import VitBlock
from .vit_keys import adapt_vit_keys

__all__ = [
    "I3D",
    "Adapter",
    "Conv3DAdapter",
    "PlainAdapter",
    "VideoBackbone",
    "VisionTransformerAdapter",
    "VitBlock",
    "adapt_vit_keys",
    "i3d_state_dict",
    "linear",
    "resize_table",
    "sine_cosine_table",
]
