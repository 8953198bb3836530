"""Small real videos, their reversed twins, annotations and features."""

import json

import numpy as np
import pytest
from dataset_files import FRAMES, LABELS, draw, encode, entry


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """Folders `for`, `back` (lossless) and `for_lossy`, `back_lossy` (ordinary H.264) of three videos."""
    root = tmp_path_factory.mktemp("videos")
    for folder, lossless in (("", True), ("_lossy", False)):
        (root / f"for{folder}").mkdir()
        (root / f"back{folder}").mkdir()
        for name, count in FRAMES.items():
            frames = [draw(number) for number in range(count)]
            encode(root / f"for{folder}" / f"{name}.mp4", frames, lossless=lossless)
            encode(root / f"back{folder}" / f"{name}.mp4", frames[::-1], lossless=lossless)
    return root


@pytest.fixture(scope="session")
def features(tmp_path_factory):
    """Folders `for` and `back` of npy features, one row per 4 frames."""
    root = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    for folder in ("for", "back"):
        (root / folder).mkdir()
    for name, count in FRAMES.items():
        feats = rng.normal(size=(-(-count // 4), 6)).astype(np.float32)
        np.save(root / "for" / f"{name}.npy", feats)
        np.save(root / "back" / f"{name}.npy", feats[::-1])
    return root


@pytest.fixture
def database():
    """Three videos: two of training, one of validation."""
    return {
        "long": entry("long", (0.4, 1.6, "Dive"), (2.0, 4.4, "Jump"), (6.0, 8.0, "Throw"), (6.0, 8.0, "Ambiguous")),
        "middle": entry("middle", (1.0, 2.0, "Throw"), (2.4, 4.8, "Dive"), subset="validation"),
        "short": entry("short", (0.2, 1.0, "Jump"), (0.2, 1.0, "Jump"), (0.6, 1.8, "Throw")),
    }


@pytest.fixture
def make(tmp_path, database):
    """`make(type=..., **arguments)` gives a dataset config over `database`, written to files as it is then."""

    def build(kind="ThumosPaddingDataset", *, pipeline=(), **arguments):
        (tmp_path / "annotation.json").write_text(json.dumps({"database": database}))
        class_map = tmp_path / "category_idx.txt"
        if not class_map.exists():
            class_map.write_text("\n".join(LABELS) + "\n")
        return {
            "type": kind,
            "ann_file": str(tmp_path / "annotation.json"),
            "subset_name": "training",
            "class_map": str(class_map),
            "data_path": "nowhere",
            "pipeline": list(pipeline),
            **arguments,
        }

    return build
