"""Where the numbers of the existing toolbox lie: in `OPENTAD_REFERENCE`, else in `../shared/reference/opentad`.

What cases there are is read from the folder when tests are collected; without a folder there are none, and the tests
are skipped.
"""

import json
import os
from pathlib import Path

import torch
from places import ROOT

FOLDER = Path(os.environ.get("OPENTAD_REFERENCE", ROOT.parent / "shared" / "reference" / "opentad"))


def load(name):
    """Load `name` from the folder: .pt/.pth with torch (weights_only), .json with json."""
    path = FOLDER / name
    if path.suffix == ".json":
        return json.loads(path.read_text())
    return torch.load(path, map_location="cpu", weights_only=True)


def names(pattern):
    """What the `*` of `pattern` stands for in the files of the folder, sorted."""
    prefix, suffix = pattern.split("*")
    return sorted(path.name[len(prefix) : len(path.name) - len(suffix)] for path in FOLDER.glob(pattern))


def parity_names(*, backbone=None):
    """Fixtures of whole tiny models, parity_*.pt; only those with, or without, a backbone if `backbone` says so."""
    found = names("parity_*.pt")
    if backbone is None:
        return found
    return [name for name in found if bool(load(f"parity_{name}.pt")["model_cfg"].get("backbone")) == backbone]


def data_cases(*keys):
    """Names of the cases of data.pt that have all of `keys`, themselves or in their samples."""
    if not (FOLDER / "data.pt").is_file():
        return []
    cases = load("data.pt")["cases"]
    return [name for name, case in cases.items() if set(keys) <= set(case) | set((case.get("samples") or [{}])[0])]
