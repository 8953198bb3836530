"""Can prompts be learned from this data and with these sentences? See --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.debug_prompts import main

if __name__ == "__main__":
    sys.exit(main())
