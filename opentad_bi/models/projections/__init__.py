"""Networks that turn a feature sequence into a temporal pyramid."""

from . import attention as attention
from . import attention_kernels as attention_kernels
from . import conv_transformer as conv_transformer
from . import position_table as position_table
from . import streams as streams
from . import transformer_block as transformer_block
