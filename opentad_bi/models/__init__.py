"""The models of opentad_bi; importing this package registers them."""

from . import backbones as backbones
