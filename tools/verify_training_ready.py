"""Check that all is ready for a training; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.verify_training_ready import main

if __name__ == "__main__":
    sys.exit(main())
