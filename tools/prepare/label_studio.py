"""Make a caption file of an export of Label Studio; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from opentad_bi.cli.label_studio import main

if __name__ == "__main__":
    sys.exit(main())
