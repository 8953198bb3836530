"""The same as reverse_videos.py, under the name it had before; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.reverse_videos import main

if __name__ == "__main__":
    sys.exit(main())
