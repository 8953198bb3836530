"""Extract one CLIP feature per second of every video; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.extract_clip_features import main

if __name__ == "__main__":
    sys.exit(main())
