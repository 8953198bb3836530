"""Networks between pyramid and head."""

from . import fpn_identity as fpn_identity
