"""`python -m opentad_bi`, and so `torchrun -m opentad_bi`: the command line."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
