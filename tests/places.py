"""Where the tests find the checkout, and the data that only some machines have."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("OPENTAD_SHARED", ROOT.parent / "shared"))
