"""The datasets of opentad_bi; importing this package registers them, their pipelines and the video readers."""

from . import detection as detection
from . import feature_prompts as feature_prompts
from . import readers as readers
from . import transforms as transforms
from . import video_anomaly as video_anomaly
from . import video_prompts as video_prompts
