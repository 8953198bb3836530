"""Lay out features of UCF-Crime by its official lists; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from opentad_bi.cli.ucf_crime import main

if __name__ == "__main__":
    sys.exit(main())
