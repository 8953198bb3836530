"""Cached predictions: a file that is not as it was written is one error that names it, whatever is wrong with it."""

import json

import pytest
import torch
from places import SHARED

from opentad_bi.datasets.detection.cached_predictions import CachedPredictions, write_cached, write_record
from opentad_bi.ops.records import SampleMeta

RECORD, FILE = "cache.json", "epoch000_000000.pt"


@pytest.fixture
def folder(tmp_path):
    """One window of two classes, 7 points, 3 of 4 positions valid."""
    side = {
        "masks": torch.tensor([[True, True, True, False]]),
        "gt_segments": [torch.tensor([[0.5, 2.0]])],
        "gt_labels": [torch.tensor([1])],
        "meta": [SampleMeta("v", 1.0, 4.0, 1, valid_length=3)],
    }
    write_cached(tmp_path, 0, 0, side, {name: torch.rand(1, 4, 7) for name in ("for", "back")})
    write_record(tmp_path, windows=1, classes=["Dive", "Jump"])
    return tmp_path


def test_what_was_written_is_read(folder):
    sample = CachedPredictions(folder)[0]
    assert sample["raw"]["back"].shape == (4, 7) and sample["masks"].tolist() == [True, True, True, False]
    assert sample["meta"].video == "v" and sample["gt_labels"].tolist() == [1]
    write_record(folder, windows=1, classes=None)
    assert CachedPredictions(folder).classes is None and CachedPredictions(folder)[0]["raw"]


RECORDS = ["", [], 3, {"classes": ["a"]}, {"windows": 1}, {"windows": "1", "classes": None}]
RECORDS += [{"windows": 1, "classes": None, "sources": sources} for sources in (3, ["a"], {"a": 1}, {"a": {}})]
RECORDS += [{"windows": 1, "classes": classes} for classes in (0, " ", [1], [])] + [{"windows": True, "classes": None}]


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_a_record_of_another_form_is_named(folder, record):
    (folder / RECORD).write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"cache\.json must hold 'windows', a number, 'classes'.*cache-predictions"):
        CachedPredictions(folder)


def without(key):
    return lambda sample: {name: value for name, value in sample.items() if name != key}


def having(**values):
    return lambda sample: sample | values


MAP = torch.rand(4, 7)
CHANGES = {
    "a list": lambda sample: [sample],
    "no maps": without("raw"),
    "a list of maps": having(raw=[MAP, MAP]),
    "one direction": having(raw={"for": MAP}),
    "two shapes": having(raw={"for": MAP, "back": MAP[:, :3]}),
    "another number of classes": having(raw={"for": MAP[:3], "back": MAP[:3]}),
    "NaN": having(raw={"for": MAP, "back": MAP / 0 * 0}),
    "sparse": having(raw={"for": MAP.to_sparse(), "back": MAP}),
    "meta": having(raw={"for": MAP, "back": MAP.to("meta")}),
    "whole numbers": having(raw={"for": MAP.long(), "back": MAP.long()}),
    "no length": without("length"),
    "a long text": having(length="4"),
    "more valid than there are": having(valid=5),
    "none valid": having(valid=0),
    "no segments": without("gt_segments"),
    "segments of another shape": having(gt_segments=torch.rand(1, 3)),
    "labels beyond the classes": having(gt_labels=torch.tensor([2])),
    "negative labels": having(gt_labels=torch.tensor([-1])),
    "fewer labels": having(gt_labels=torch.tensor([], dtype=torch.int64)),
    "real labels": having(gt_labels=torch.tensor([1.0])),
    "infinite segments": having(gt_segments=torch.tensor([[0.0, torch.inf]])),
    "no video": without("video"),
    "a number as video": having(video=3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_of_another_form_is_named(folder, change):
    torch.save(CHANGES[change](torch.load(folder / FILE)), folder / FILE)
    with pytest.raises(ValueError, match=rf"cached predictions .*{FILE} are damaged: .*cache-predictions"):
        CachedPredictions(folder)[0]


def test_a_flipped_bit_of_a_map_is_found(folder):
    content = bytearray((folder / FILE).read_bytes())
    numbers = torch.load(folder / FILE)["raw"]["back"].numpy().tobytes()
    content[content.index(numbers) + 9] ^= 1
    (folder / FILE).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{FILE} is damaged: '.*/data/\d' in it differs from its checksum"):
        CachedPredictions(folder)[0]


def test_the_files_of_users_are_named(folder):
    given = sorted((SHARED / "cases" / "files").glob("cached_predictions_*"))
    if not given:
        pytest.skip(f"no files at {SHARED / 'cases' / 'files'}; set OPENTAD_SHARED to the folder above cases/")
    whole = {name: (folder / name).read_bytes() for name in (RECORD, FILE)}
    for path in given:
        for name in whole:
            (folder / name).write_bytes(whole[name])
        name = FILE if path.suffix == ".pt" else RECORD
        (folder / name).write_bytes(path.read_bytes())
        with pytest.raises(ValueError, match=str(folder)):
            CachedPredictions(folder)[0]
