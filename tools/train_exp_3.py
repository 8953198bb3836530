"""The same as `opentad-bi train`, under the name that experiments 3-1, 3-2 and 3-3 are trained by; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.main import call

if __name__ == "__main__":
    sys.exit(call("train"))
