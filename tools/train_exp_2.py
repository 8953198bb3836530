"""The same as `opentad-bi train`, under the name that experiments 1, 1-1 and 2 are trained by; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.main import call

if __name__ == "__main__":
    sys.exit(call("train"))
