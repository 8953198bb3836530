"""The published lists of UCF101, HMDB51 and Kinetics-400: how much they hold, where their labels mislead, and draws."""

import string

import pytest
from places import SHARED

from opentad_bi.datasets.video_prompts import selection
from opentad_bi.datasets.video_prompts.dataset import VideoFolder
from opentad_bi.datasets.video_prompts.few_shot import GROUPS
from opentad_bi.datasets.video_prompts.lists import (
    class_prompt_name,
    read_class_names,
    read_hmdb51,
    read_label_table,
    read_numbered,
    read_ucf101,
    rename_classes,
)


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


# selections of a data set


def official(real, data, part):
    """Config of the official list of split 1."""
    if data == "hmdb51":
        return {"type": "hmdb51", "folder": str(real / "hmdb51"), "split": 1, "part": part}
    folder = real / "ucf101"
    return {
        "type": "ucf101",
        "list_file": str(folder / f"{part}list01.txt"),
        "class_file": str(folder / "classInd.txt"),
    }


@pytest.fixture
def all_there(monkeypatch):
    """Take every listed file as there."""
    monkeypatch.setattr(selection, "check_files", lambda videos, root, tolerate: videos)


@pytest.mark.parametrize(("data", "classes"), [("ucf101", 101), ("hmdb51", 51)])
@pytest.mark.parametrize("validation", [{"val_shots": 4}, {"val_ratio": 0.2}])
@pytest.mark.usefixtures("all_there")
def test_real_draws_share_no_group_with_their_validation(real, data, classes, validation):
    whole, tests = (selection.read_videos(official(real, data, part), "videos") for part in ("train", "test"))
    for seed, shots in enumerate((None, 1, 16)):
        options = {"shots": shots, "group": data, "sampling_seed": seed, **validation}
        (train, names), (val, same) = (
            selection.select_videos(whole, "videos", part=part, **options) for part in ("train", "val")
        )
        groups = [
            {(v.label, GROUPS[data](v.path, whole.classes[v.label])) for v in part.videos} for part in (train, val)
        ]
        assert not groups[0] & groups[1] and names == same and len(names) == classes
        assert min(train.counts()) > 0 if shots is None else set(train.counts()) == {shots}
        assert set(val.counts()) == {4} if "val_shots" in validation else min(val.counts()) > 0
        assert not {v.path for v in tests.videos} & {v.path for v in (*train.videos, *val.videos)}


@pytest.mark.usefixtures("all_there")
def test_real_labels_and_names_of_a_data_set(real):
    pipeline = [{"type": "LoadClips", "frames": 8}]
    data = VideoFolder(official(real, "ucf101", "train"), "videos", pipeline)
    places = {name: data.classes.index(name) for name in ("Hammering", "Hammer Throw", "Jumping Jack", "Jump Rope")}
    assert places == {"Hammering": 34, "Hammer Throw": 35, "Jumping Jack": 46, "Jump Rope": 47}
    found = dict(zip(data.videos, data.labels.tolist(), strict=True))
    assert len(data) == len(found) == 9537 and found["Hammering/v_Hammering_g08_c01"] == 34
    assert found["HandstandPushups/v_HandStandPushups_g08_c01"] == data.classes.index("Handstand Pushups")
    new = VideoFolder(official(real, "ucf101", "test"), "videos", pipeline, protocol="new")
    assert len(new.classes) == 50 and new.classes == data.classes[51:] and new.frames == 8


@pytest.mark.usefixtures("all_there")
def test_real_base_and_new_lists_with_names_put_right(real):
    reference = [official(real, "hmdb51", part) for part in ("train", "test")]
    labels = str(real / "few_shot/hmdb_51_base_labels.csv")
    base = {"type": "numbered", "list_file": str(real / "few_shot/base2novel_hmdb_base_val.txt"), "classes": labels}
    listed, names = selection.select_videos(base, "videos", reference=reference)
    right = [selection.read_videos(cfg, "videos") for cfg in reference]
    truth = {v.path.name: class_prompt_name(found.classes[v.label]) for found in right for v in found.videos}
    assert all(truth[video.path.name] == names[video.label] for video in listed.videos)
    assert names != [class_prompt_name(name) for name in read_label_table(labels)]


def test_real_clips_of_an_official_list(real, tmp_path):
    clips = {path.stem: path for path in (SHARED / "data/videos/ucf101").glob("v_*_g01_c01.avi")}
    if not clips:
        pytest.skip(f"no clips of UCF101 below {SHARED}")
    for stem, path in clips.items():
        (tmp_path / stem.split("_")[1]).mkdir()
        (tmp_path / stem.split("_")[1] / path.name).symlink_to(path)
    steps = [
        {"type": "LoadClips", "frames": 8, "views": 2},
        {"type": "SpatialViews", "views": 3},
        {"type": "CollectClip"},
    ]
    data = VideoFolder(official(real, "ucf101", "test"), tmp_path, steps, tolerate=0.9995)
    batch = data.collate([data[i] for i in range(len(data))])
    assert batch["inputs"].shape == (len(clips), 6, 8, 3, 224, 224)
    for meta, label in zip(batch["meta"], batch["labels"].tolist(), strict=True):
        assert data.classes[label] == class_prompt_name(meta.video.split("/")[0])
    assert batch["inputs"].float().std((1, 2, 3, 4, 5)).min() > 10
