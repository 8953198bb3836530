"""Temporal pooling: a sequence of features to one."""

from . import attention as attention
from . import maximum as maximum
from . import mean as mean
from . import scored as scored
from . import transformer as transformer
