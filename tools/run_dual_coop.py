"""Train Dual-CoOp; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli import aliases

if __name__ == "__main__":
    sys.exit(aliases.main("dual_coop"))
