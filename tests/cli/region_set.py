"""A tiny generated set of captioned videos with its tower, for tests of commands that train on them."""

import pytest
from places import ROOT

from opentad_bi.cli.demo import write_tower
from opentad_bi.prepare.demo import surveillance
from opentad_bi.prepare.demo.surveillance import make_demo_surveillance

CONFIG = ROOT / "configs" / "fgclip" / "demo" / "surveillance.py"


def make_region_set(folder):
    """Write eight videos of a few seconds to learn from and eight to test on, and a tower of two layers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surveillance, "LENGTH", (130, 151))
        patch.setattr(surveillance, "EVENT", (40, 61))
        make_demo_surveillance(folder, train_videos=1, test_videos=1)
    write_tower(folder / "tower.json", folder / "tower.safetensors", 0)
    return folder
