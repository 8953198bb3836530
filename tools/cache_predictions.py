"""Keep what a trained pair says of its training windows, for a fusion to train on; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.cache_predictions import main

if __name__ == "__main__":
    sys.exit(main())
