"""The same as `opentad-bi run_vita`, under its original name; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from opentad_bi.cli.main import call

if __name__ == "__main__":
    sys.exit(call("run_vita"))
