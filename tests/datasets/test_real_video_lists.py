"""The published lists of UCF101, HMDB51 and Kinetics-400: how much they hold, and where their labels mislead."""

import os
import string
from pathlib import Path

import pytest

from opentad_bi.datasets.class_lists import class_prompt_name, read_class_names, read_label_table
from opentad_bi.datasets.video_lists import read_hmdb51, read_numbered, read_ucf101, rename_classes

SHARED = Path(os.environ.get("OPENTAD_SHARED", Path(__file__).resolve().parents[3] / "shared"))


@pytest.fixture
def real():
    folder = SHARED / "data/annotations"
    if not (folder / "ucf101").is_dir():
        pytest.skip(f"no real lists at {folder}; set OPENTAD_SHARED to the folder above data/")
    return folder


@pytest.mark.parametrize(("split", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)])
def test_real_ucf101(real, split, train, test):
    folder = real / "ucf101"
    lists = [read_ucf101(folder / f"{part}list{split:02d}.txt", folder / "classInd.txt") for part in ("train", "test")]
    assert [len(found.videos) for found in lists] == [train, test]
    for found in lists:
        assert len(found.classes) == 101 and min(found.counts()) > 0
        for video in found.videos:
            assert found.classes[video.label] == video.path.parts[0]
    assert not {video.path for video in lists[0].videos} & {video.path for video in lists[1].videos}


def test_real_ucf101_labels_are_those_of_the_class_index(real):
    folder = real / "ucf101"
    found = read_ucf101(folder / "trainlist01.txt", folder / "classInd.txt")
    numbers = {line.split()[0].split("/")[0]: int(line.split()[1]) for line in (folder / "trainlist01.txt").open()}
    assert {name: label + 1 for label, name in enumerate(found.classes)} == numbers
    pairs = {name: found.classes.index(name) for name in ("HammerThrow", "Hammering", "JumpRope", "JumpingJack")}
    assert pairs == {"Hammering": 34, "HammerThrow": 35, "JumpingJack": 46, "JumpRope": 47}
    assert found.counts()[found.classes.index("HandstandPushups")] == 100
    assert (min(found.counts()), max(found.counts())) == (72, 121)


def test_real_hmdb51(real):
    train, test, unused = (read_hmdb51(real / "hmdb51", 1, part) for part in ("train", "test", "unused"))
    assert (len(train.classes), len(train.videos), len(test.videos)) == (51, 3570, 1530)
    assert set(train.counts()) == {70} and set(test.counts()) == {30}
    paths = [video.path for part in (train, test, unused) for video in part.videos]
    assert len(paths) == len(set(paths)) == 6766
    assert sum(any(letter in path.name for letter in "!()#[]&+;~") for path in paths) == 535
    assert sum(not set(path.name) <= set(string.ascii_letters + string.digits + "_.-") for path in paths) == 536


@pytest.mark.parametrize(
    ("labels", "stem", "wrong"),
    [
        ("hmdb_51", "hmdb_splits_val1", {"kick", "kick ball", "sword", "sword exercise"}),
        ("hmdb_51_base", "base2novel_hmdb_base_val", {"sword", "sword exercise"}),
        ("hmdb_51_novel", "base2novel_hmdb_novel_val", {"kick", "kick ball"}),
        ("ucf_101", "ucf_splits_val1", set()),
    ],
)
def test_real_label_tables_swap_names_of_hmdb51(real, labels, stem, wrong):
    if "hmdb" in stem:
        official = [read_hmdb51(real / "hmdb51", 1, part) for part in ("train", "test")]
    else:
        official = [read_ucf101(real / "ucf101/testlist01.txt", real / "ucf101/classInd.txt")]
    truth = {v.path.name: class_prompt_name(found.classes[v.label]) for found in official for v in found.videos}
    table = read_label_table(real / f"few_shot/{labels}_labels.csv")
    listed = read_numbered(real / f"few_shot/{stem}.txt", table)
    mistaken = {truth[v.path.name] for v in listed.videos if truth[v.path.name] != class_prompt_name(table[v.label])}
    assert mistaken == wrong
    right = listed
    for found in official:
        right = rename_classes(right, found)
    assert right.videos == listed.videos
    assert all(truth[v.path.name] == class_prompt_name(right.classes[v.label]) for v in right.videos)
    assert {new for old, new in zip(table, right.classes, strict=True) if old != new} == {
        w.replace(" ", "_") for w in wrong
    }


def test_real_kinetics(real):
    folder = real / "kinetics400"
    classes = read_class_names(folder / "label_map_k400.txt")
    assert len(classes) == 400 and classes == read_class_names(folder / "k400_classes_vitaclip.txt")
    assert all(class_prompt_name(name) == name for name in classes)
    found = read_numbered(folder / "k400_val_list_vificlip.txt", classes)
    assert len(found.videos) == 19877 and min(found.counts()) > 0
    assert classes == read_label_table(real / "few_shot/kinetics_400_labels.csv")


@pytest.mark.parametrize(
    ("labels", "stem", "counts"),
    [
        ("ucf_101", "ucf_splits_train1_few_shot_16", {16}),
        ("hmdb_51", "hmdb_splits_train1_few_shot_2", {2}),
        ("hmdb_51", "hmdb_splits_val1", {30}),
        ("ucf_101_base", "base2novel_ucf_fs_base_s1_train", {16}),
        ("hmdb_51_base", "base2novel_hmdb_fs_base_s1_train", {16}),
        ("hmdb_51_novel", "base2novel_hmdb_novel_val", {30}),
    ],
)
def test_real_few_shot_lists(real, labels, stem, counts):
    classes = read_label_table(real / f"few_shot/{labels}_labels.csv")
    assert set(read_numbered(real / f"few_shot/{stem}.txt", classes).counts()) == counts


def test_real_few_shot_test_list_is_that_of_ucf101(real):
    official = read_ucf101(real / "ucf101/testlist01.txt", real / "ucf101/classInd.txt")
    classes = read_label_table(real / "few_shot/ucf_101_labels.csv")
    other = read_numbered(real / "few_shot/ucf_splits_val1.txt", classes)
    named = [{video.path.name: found.classes[video.label] for video in found.videos} for found in (official, other)]
    assert named[0] == named[1]
