"""Train a pair (experiments 1, 1-1, 2); the same as train.py; see opentad_bi/cli/train.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.cli.train import command

if __name__ == "__main__":
    command()
