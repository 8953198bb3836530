"""Make a generated set of features and a tiny model they belong to; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.make_demo_clips import main

if __name__ == "__main__":
    sys.exit(main())
