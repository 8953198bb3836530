"""Numbers of the existing toolbox: `OPENTAD_REFERENCE` names the folder, else `../shared/reference/opentad`."""

import json
import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def reference():
    """The folder of reference fixtures; the test is skipped where there is none."""
    folder = Path(os.environ.get("OPENTAD_REFERENCE", ROOT.parent / "shared" / "reference" / "opentad"))
    if not folder.is_dir():
        pytest.skip(f"no reference fixtures at {folder}; set OPENTAD_REFERENCE to their folder")
    return folder


@pytest.fixture(scope="session")
def load_reference(reference):
    """Load `name` from the reference folder: .pt/.pth with torch (weights_only), .json with json."""

    def load(name):
        path = reference / name
        if path.suffix == ".json":
            return json.loads(path.read_text())
        return torch.load(path, map_location="cpu", weights_only=True)

    return load
