"""Arrays from files: every damaged or unfit one is one error that names the file, wherever features are read."""

import io
import pickle
import warnings

import numpy as np
import pytest
import torch
from places import SHARED

from opentad_bi.datasets.common.feature_files import feature_shape, read_features
from opentad_bi.datasets.common.frames import FrameCache
from opentad_bi.datasets.detection.features import open_windows
from opentad_bi.datasets.feature_prompts.rows import FeatureTables, describe_file
from opentad_bi.datasets.video_prompts.features import ClipFeatures
from opentad_bi.utils.arrays import float32_table, huge, open_array

FILES = SHARED / "cases" / "files"


def npy(header, body=b""):
    """A .npy file of version 1.0 with any text as its header."""
    text = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
DAMAGED = {
    "token": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, }", bytes(24)),
    "syntax": npy("{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3), }", bytes(24)),
    "open": npy("{'descr': '<f4', 'shape': (((", bytes(24)),
    "dtype": npy(GOOD.replace("<f4", "<q9"), bytes(24)),
    "keys": npy("{'descr': '<f4', 'shape': (2, 3), }", bytes(24)),
    "negative": npy(GOOD.replace("2, 3", "-2, 3"), bytes(24)),
    "huge": npy(GOOD.replace("2, 3", "99999999999999, 99999999999"), bytes(24)),
    "large": npy(GOOD.replace("2, 3", "9999999999, 3"), bytes(24)),
    "fewer": npy(GOOD.replace("2, 3", "1, 3"), bytes(24)),
    "cut": npy(GOOD, bytes(20)),
    "nothing": b"",
    "magic": b"\x93NUMPY",
    "text": b"<!DOCTYPE html><html></html>",
    "null": npy("\x00" * 40, bytes(24)),
}


def saved(path, array, **options):
    """The path, after the array is in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.save(path, array, **options)
    return path


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_npy_is_one_error_for_every_reader(tmp_path, content):
    path = tmp_path / "v.npy"
    path.write_bytes(content)
    (tmp_path / "v.json").write_text('{"starts": [0], "valid": [3]}')
    for read in (open_array, read_features, feature_shape, open_windows, lambda p: describe_file(p, "v", 0)):
        with pytest.raises(ValueError, match=r"v\.npy (cannot be read|is damaged|is an HTML page)"):
            read(path)


@pytest.mark.skipif(not FILES.is_dir(), reason=f"no {FILES}; set OPENTAD_SHARED to the folder above cases/")
def test_the_files_that_were_found():
    for path in sorted(FILES.glob("features*.npy")):
        with pytest.raises(ValueError, match=rf"{path.name} cannot be read"):
            describe_file(path, "v", 0)
    said = {
        "c.npy": "cannot be read: numbers are expected, not complex numbers",
        "n.npy": "hold 6 NaN or infinite numbers, first in row 0",
        "o.npy": "hold 4 numbers too large for float32",
        "s.npy": "cannot be read: numbers are expected, not text",
        "b.csv": "line 1: 'x' is not a number",
    }
    for name, words in said.items():
        with pytest.raises(ValueError, match=f"{name} {'cannot be read: ' if 'line' in words else ''}{words}"):
            read_features(FILES / "values" / name)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((2, 3), complex), "not complex numbers"),
        (np.array([["1", "2"]]), "not text"),
        (np.array([[b"1"]]), "not text"),
        (np.array([["2020-01-01"]], "datetime64[D]"), "not dates"),
        (np.zeros((2, 3), [("a", "f4")]), "not records"),
        (np.full((2, 3), 1e300), r"hold 6 numbers too large for float32, first in row 0 \(of 2"),
        (np.array([[1.0], [np.nan], [np.inf]]), "hold 2 NaN or infinite numbers, first in row 1"),
        (np.array([[1.0], [1e39], [np.nan]]), "hold 2 NaN or infinite numbers, first in row 1"),
    ],
)
def test_what_is_no_finite_number(tmp_path, array, words):
    path = saved(tmp_path / "v.npy", array)
    with pytest.raises(ValueError, match=rf"v\.npy .*{words}"):
        read_features(path)
    np.savez(tmp_path / "v.npz", feats=array)
    with pytest.raises(ValueError, match=rf"v\.npz .*{words}"):
        read_features(tmp_path / "v.npz")
    kept = tmp_path / "v.pkl"
    kept.write_bytes(pickle.dumps(array))
    with pytest.raises(ValueError, match=r"v\.pkl "):
        read_features(kept)
    if array.dtype.kind in "fc":
        torch.save(torch.from_numpy(array), tmp_path / "v.pt")
        with pytest.raises(ValueError, match=rf"v\.pt .*{words}"):
            read_features(tmp_path / "v.pt")


def test_objects_and_lists(tmp_path):
    with pytest.raises(ValueError, match=r"v\.npy cannot be read"):
        read_features(saved(tmp_path / "v.npy", np.array([[{}]]), allow_pickle=True))
    for name, value in {"ragged": [[1], [1, 2]], "text": [["1", "2"]], "none": [[None]], "big": [[10**400]]}.items():
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(value))
        with pytest.raises(ValueError, match=rf"{name}\.pkl cannot be read"):
            read_features(tmp_path / f"{name}.pkl")
    (tmp_path / "good.pkl").write_bytes(pickle.dumps([[1, 2], [3, 4]]))
    assert read_features(tmp_path / "good.pkl").tolist() == [[1, 2], [3, 4]]


def test_windows_and_frame_features_and_units(tmp_path):
    table = np.zeros((2, 4, 3))
    table[1, 2, 0] = 1e300
    saved(tmp_path / "w.npy", table)
    (tmp_path / "w.json").write_text('{"starts": [0, 2], "valid": [4, 4]}')
    file = open_windows(tmp_path / "w.npy")
    assert file.window(0, 4)[0].dtype == np.float32
    with pytest.raises(ValueError, match=r"w\.npy, window at 2, hold 1 number too large for float32, first in row 2"):
        file.window(2, 4)
    for wrong in ('{"starts": [0, 2]}', '{"starts": 0, "valid": [4]}', '{"starts": ["a"], "valid": [4]}', "[]"):
        (tmp_path / "w.json").write_text(wrong)
        with pytest.raises(ValueError, match=r"w\.json: 'starts' and 'valid'"):
            open_windows(tmp_path / "w.npy")
    frames = ClipFeatures.__new__(ClipFeatures)
    frames.folder, frames.width = tmp_path, 3
    with pytest.raises(ValueError, match=r"w\.npy hold 1 number too large for float32"):
        frames.read("w")
    tables = FeatureTables([describe_file(saved(tmp_path / "u.npy", np.full((3, 2), 1e300)), "u", 0)])
    with np.errstate(over="ignore"):
        with pytest.raises(ValueError, match=r"u\.npy: row 0"):
            tables.means([0])
        with pytest.raises(ValueError, match=r"u\.npy: row 1"):
            tables.units([0], [1], 2)


def test_csv_first_row(tmp_path):
    path = tmp_path / "v.csv"

    def read(text):
        path.write_text(text, encoding="utf-8")
        return read_features(path).tolist()

    assert read("a,b\n1,2\n") == read("\n# made by hand\n a , b \n1,2\n") == read("\ufeff1,2\n") == [[1, 2]]
    assert read("1\n2\n") == [[1], [2]]
    for text, words in {
        "0.1,abc,0.3\n1,2,3\n": "line 1: 'abc' is not a number",
        ",0,1\n0,2,3\n": "line 1: '' is not a number",
        "a,b\n1,x\n": "line 2: 'x' is not a number",
        "a,b\n\n1,2\n1,2,3\n": "line 4 has 3 numbers, the first has 2",
        "a,b\n": "no numbers",
        "": "(no numbers|it is empty)",
        "1;2\n3;4\n": "line 2: '3;4' is not a number",
        "1,nan\n": "hold 1 NaN or infinite number, first in row 0",
        "1,1e300\n": "hold 1 number too large for float32",
    }.items():
        with pytest.raises(ValueError, match=rf"v\.csv .*{words}"):
            read(text)


def test_sound_numbers_stay_what_they_are(tmp_path):
    for dtype in ("f2", "f4", "f8", "i1", "u8", "?", ">f4"):
        array = np.arange(6).reshape(2, 3).astype(dtype)
        for order in ("C", "F"):
            found = read_features(saved(tmp_path / "v.npy", np.asarray(array, order=order)))
            assert found.dtype == np.float32 and found.flags.c_contiguous and found.flags.writeable
            assert np.array_equal(found, array)
    large = np.full((40, 4), 3e38, np.float32)  # whose sum overflows
    assert np.array_equal(float32_table(large, "x"), large)
    assert huge(large).startswith("numbers as large as 3e+38")
    assert huge(np.full((1, 1), 65504, np.float32)) == huge(np.zeros((0, 3), np.float32)) == ""
    torch.save(torch.ones(2, 3, dtype=torch.bfloat16).requires_grad_(), tmp_path / "v.pt")
    assert read_features(tmp_path / "v.pt").tolist() == [[1, 1, 1]] * 2


def test_shapes_from_headers(tmp_path):
    array = np.zeros((7, 3), np.float16)
    np.savez_compressed(tmp_path / "v.npz", other=np.zeros(2), feats=array)
    np.savetxt(tmp_path / "v.csv", array, delimiter=",")
    torch.save(torch.from_numpy(array), tmp_path / "v.pt")
    for path in (saved(tmp_path / "v.npy", array), *(tmp_path / f"v.{suffix}" for suffix in ("npz", "csv", "pt"))):
        assert feature_shape(path) == (7, 3)
    np.savez(tmp_path / "v.npz", other=array)
    with pytest.raises(ValueError, match=r"no entry 'feats', only \['other'\]"):
        feature_shape(tmp_path / "v.npz")
    with pytest.raises(ValueError, match=r"v\.npy cannot be read: .*not complex"):
        feature_shape(saved(tmp_path / "v.npy", array.astype(complex)))
    (tmp_path / "v.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"v\.npz cannot be read"):
        feature_shape(tmp_path / "v.npz")


def test_a_damaged_frame_cache_is_made_anew(tmp_path, caplog):
    cache, frames = FrameCache(tmp_path), np.ones((1, 2, 2, 3), np.uint8)
    cache.path({"a": 1}).write_bytes(DAMAGED["token"])
    assert np.array_equal(cache.get({"a": 1}, lambda: frames), frames)
    assert "is damaged" in caplog.text
    buffer = io.BytesIO()
    np.save(buffer, frames)
    assert cache.path({"a": 1}).read_bytes() == buffer.getvalue()
