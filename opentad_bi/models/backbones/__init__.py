"""Networks that turn frames into a feature sequence."""

from . import adapters as adapters
from . import conv3d_adapter as conv3d_adapter
from . import i3d as i3d
from . import video_backbone as video_backbone
from . import vit_adapter as vit_adapter
