"""Mean average precision of a saved result file; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.config import main

if __name__ == "__main__":
    sys.exit(main())
