"""Make a generated set of surveillance videos, captions and boxes, and a tiny model; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.make_demo_surveillance import main

if __name__ == "__main__":
    sys.exit(main())
