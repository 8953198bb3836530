"""The models of opentad_bi; importing this package registers them."""

from . import backbones as backbones
from . import classifiers as classifiers
from . import clip as clip
from . import detectors as detectors
from . import fusions as fusions
from . import heads as heads
from . import layers as layers
from . import losses as losses
from . import necks as necks
from . import pooling as pooling
from . import projections as projections
from . import prompts as prompts
from . import video_anomaly as video_anomaly
