"""Video readers: `open_video` of `base` finds and opens the file of a video."""

from . import decord as decord
from . import pyav as pyav
