"""What is wrong with feature folders and options: one clear error each, that names the thing."""

import json

import numpy as np
import pytest
from unit_files import numbers, write_classes

from opentad_bi.datasets.feature_prompts.dataset import VideoFeatureDataset

CLASSES = {"Abuse": {"a0": 7, "a1": 3}, "Normal": {"n0": 5}}


@pytest.fixture
def folder(tmp_path):
    write_classes(tmp_path / "features", CLASSES)
    return tmp_path / "features"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": ["Normal", "Abus"]}, ["'Abus'", "did you mean 'Abuse'?"]),
        ({"classes": ["Arson"], "allow_missing": True}, ["'Arson'"]),
        ({"classes": ["Abuse", "abuse"]}, ["'Abuse', 'abuse'"]),
        ({"class_order": "sortd"}, ["class_order 'sortd'", "'sorted'"]),
        ({"strict_mode": "pre"}, ["strict_mode 'pre'", "post_event"]),
        ({"snippet_duration": 0}, ["snippet_duration 0"]),
        ({"snippet_duration": 1.5}, ["snippet_duration 1.5"]),
        ({"overlap_ratio": 1.0}, ["overlap_ratio 1.0"]),
        ({"shots": 2}, ["shots=2", "'Normal'", "1 videos"]),
        ({"max_files_per_class": -1}, ["max_files_per_class -1"]),
        ({"snippet_duration": 8}, ["no samples", "7 rows", "snippet_duration is 8"]),
        ({"class_weights": "balance"}, ["'balance'", "'balanced'"]),
        ({"class_weights": {"Abus": 2}}, ["'Abus'", "'Abuse'"]),
        ({"class_weights": [1, 2, 3]}, ["3 weights for 2 classes"]),
        ({"class_weights": [1, -2]}, ["-2", "'Abuse'"]),
        ({"forbid_list": ["Abuse/a0.mp4", "z"]}, ["1 videos", "a0"]),
    ],
)
def test_a_wrong_option_is_named(folder, options, words):
    with pytest.raises(ValueError) as error:
        VideoFeatureDataset(folder, **options)
    assert all(word in str(error.value) for word in words), error.value


def test_a_normal_class_that_events_need_is_named(folder):
    with pytest.raises(KeyError, match="normal_class 'Norml' is none of the classes; did you mean 'Normal'"):
        VideoFeatureDataset(folder, normal_class="Norml", annotation_dir=folder)


def test_a_normal_class_that_nothing_needs_is_ignored(folder):
    assert VideoFeatureDataset(folder, normal_class="calm").normal_label is None


def test_folders_that_are_missing_empty_or_alike(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        VideoFeatureDataset(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no sub-folders"):
        VideoFeatureDataset(folder / "Abuse")
    (folder / "a_b_u_s_e").mkdir()
    with pytest.raises(ValueError, match=r"'Abuse' and 'a_b_u_s_e'"):
        VideoFeatureDataset(folder)
    (folder / "a_b_u_s_e").rename(folder / "Arson")
    with pytest.raises(ValueError, match=r"Arson holds no \.npy"):
        VideoFeatureDataset(folder)


def test_a_video_in_two_classes(folder):
    np.save(folder / "Normal" / "a0.npy", numbers(0, 3))
    with pytest.raises(ValueError, match=r"'a0' lies in two classes: .*a0.npy and .*a0.npy"):
        VideoFeatureDataset(folder)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 5), np.float16), "different width: .*n0.npy has 4, .*a1.npy has 5"),
        (np.zeros((0, 4), np.float16), "a1.npy hold no rows"),
        (np.zeros(4, np.float16), r"a1.npy: a table .* of shape \(4,\)"),
        (np.zeros((3, 4), np.int64), "a1.npy: a table .* not int64"),
        (np.array([[{}]]), "a1.npy cannot be read"),
    ],
)
def test_a_file_that_is_no_table_of_the_common_width(folder, array, words):
    np.save(folder / "Abuse" / "a1.npy", array)
    with pytest.raises(ValueError, match=words):
        VideoFeatureDataset(folder)


def test_turned_files_are_named_as_such(tmp_path):
    (tmp_path / "Abuse").mkdir()
    for rows in (7, 9, 11, 12):
        np.save(tmp_path / "Abuse" / f"a{rows}.npy", np.zeros((4, rows), np.float16))
    with pytest.raises(ValueError, match=r"different width: .* all have 4 rows: are they \(width, rows\) instead of"):
        VideoFeatureDataset(tmp_path)


@pytest.mark.parametrize("size", [0, 5, 60, 130])
def test_a_cut_off_file_is_named(folder, size):
    path = folder / "Abuse" / "a1.npy"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"a1\.npy cannot be read"):
        VideoFeatureDataset(folder)


def test_a_file_that_changes_after_the_start_is_named(folder):
    dataset = VideoFeatureDataset(folder)
    path = folder / "Normal" / "n0.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"n0\.npy have become shorter"):
        dataset[0]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"n0\.npy are gone"):
        dataset[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("pooling", [False, True])
def test_a_number_that_is_not_finite_is_found_when_read(folder, value, pooling):
    rows = numbers(0, 7)
    rows[5, 2] = value
    np.save(folder / "Abuse" / "a0.npy", rows)
    dataset = VideoFeatureDataset(folder, use_video_level_pooling=pooling, snippet_duration=2)
    with pytest.raises(ValueError, match=r"a0\.npy: row 5 \(of 7"):
        dataset.__getitems__(list(range(len(dataset))))
    assert np.isfinite(dataset[0][0]).all()


def test_large_numbers_are_no_error(folder):
    np.save(folder / "Abuse" / "a0.npy", np.full((7, 4), 3e38, np.float32))
    dataset = VideoFeatureDataset(folder, classes=["Abuse", "Normal"])
    assert (dataset.__getitems__([0, 1])["inputs"] == np.float32(3e38)).all()


@pytest.mark.parametrize("separator", [None, "__"])
@pytest.mark.parametrize("form", ["text", "annotation", "json"])
def test_official_test_videos_are_refused_however_listed(tmp_path, form, separator):
    write_classes(tmp_path / "f", {"Abuse": {"Abuse028_x264__0": 2, "Abuse001_x264__0": 2}})
    forbidden = tmp_path / ("list.json" if form == "json" else "list.txt")
    forbidden.write_text(
        {
            "text": "Abuse/Abuse028_x264.mp4\nArson/Arson001_x264.mp4\n\n",
            "annotation": "Abuse028_x264.mp4  Abuse  165  240  -1  -1  \n",
            "json": json.dumps(["Abuse028_x264"]),
        }[form]
    )
    with pytest.raises(ValueError, match=r"1 videos are in forbid_list .*list\..*Abuse028_x264"):
        VideoFeatureDataset(tmp_path / "f", forbid_list=forbidden, crop_separator=separator)
    (tmp_path / "f" / "Abuse" / "Abuse028_x264__0.npy").unlink()
    assert len(VideoFeatureDataset(tmp_path / "f", forbid_list=forbidden, crop_separator=separator)) == 2
    with pytest.raises(FileNotFoundError, match="forbid_list"):
        VideoFeatureDataset(tmp_path / "f", forbid_list=tmp_path / "none.txt")
