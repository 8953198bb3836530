"""Count what a data set holds and propose settings for it; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.dataset_stats import main

if __name__ == "__main__":
    sys.exit(main())
