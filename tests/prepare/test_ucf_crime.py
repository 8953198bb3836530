"""UCF-Crime's lists, and features laid out by them."""

import os
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from places import ROOT

from opentad_bi.cli.main import call
from opentad_bi.datasets.feature_prompts.dataset import VideoFeatureDataset
from opentad_bi.evaluation.common.frame_annotation import read_frame_annotation
from opentad_bi.prepare.ucf_crime import CLASSES, check_lists, lay_out, read_list

main = partial(call, "ucf-crime")

SHARED = Path(os.environ.get("OPENTAD_SHARED", ROOT.parent / "shared"))
TRAIN = [
    "Abuse/Abuse001_x264.mp4",
    "RoadAccidents/RoadAccidents002_x264.mp4",
    "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4",
]
TEST = ["Abuse/Abuse028_x264.mp4", "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4"]
EVENTS = ["Abuse028_x264.mp4  Abuse  165  240  300  315  ", "Normal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1  "]
LAID_OUT = {
    "train/Abuse/Abuse001_x264__0.npy",
    "train/Abuse/Abuse001_x264__1.npy",
    "train/Normal/Normal_Videos001_x264.npy",
    "test/Abuse/Abuse028_x264.npy",
    "test/Normal/Normal_Videos_003_x264__5.npy",
}


def write_lists(folder, train=TRAIN, test=TEST, events=EVENTS):
    folder.mkdir(exist_ok=True)
    named = {"Anomaly_Train.txt": train, "Anomaly_Test.txt": test, "Temporal_Anomaly_Annotation.txt": events}
    for name, lines in named.items():
        (folder / name).write_text("\n".join(lines) + "\n\n")
    return folder


@pytest.fixture
def places(tmp_path):
    """Folders of lists and of features, one file of which is in no list."""
    for number, name in enumerate((*LAID_OUT, "x/holiday.npy")):
        path = tmp_path / "features" / f"part{number % 2}" / Path(name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full((12, 4), number, np.float16))
    return write_lists(tmp_path / "lists"), tmp_path / "features", tmp_path / "out"


def command(places, *more):
    lists, features, out = places
    return main([str(features), str(out), "--lists", str(lists), *more])


def written(out):
    return {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}


def test_lists_configs_and_sentences_have_the_same_classes():
    base = ROOT / "configs" / "_base_"
    assert Config.fromfile(str(base / "datasets/ucf_crime_features.py")).class_names == list(CLASSES)
    assert tuple(Config.fromfile(str(base / "prompts/ucf_crime.py")).class_prompts) == CLASSES


@pytest.mark.parametrize("copy", [False, True])
def test_features_come_to_their_split_and_class(places, copy, capsys, caplog):
    out = places[2]
    for _ in range(2):  # again: nothing changes
        assert command(places, *["--copy"] * copy) == 0
        assert written(out) == LAID_OUT | {
            "annotations/test/Abuse.csv", "test_videos.txt", "Temporal_Anomaly_Annotation.txt"
        }  # fmt: skip
    assert "holiday.npy" in caplog.text and "1 files" in caplog.text
    table = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[-15:]}
    assert table["RoadAccidents"] == ["1", "0", "0", "0"] and table["all"] == ["3", "2", "2", "2"]
    for name in LAID_OUT:
        source = next(places[1].rglob(Path(name).name))
        assert (out / name).is_symlink() != copy and (out / name).read_bytes() == source.read_bytes()
        assert copy or not Path(os.readlink(out / name)).is_absolute()


def test_what_is_laid_out_trains_and_refuses_test_videos(places):
    command(places)
    out = places[2]
    options = {
        "crop_separator": "__",
        "classes": CLASSES,
        "allow_missing": True,
        "forbid_list": out / "test_videos.txt",
    }
    assert len(VideoFeatureDataset(out / "train", **options)) == 36
    with pytest.raises(ValueError, match="2 videos are in forbid_list"):
        VideoFeatureDataset(out / "test", **options)
    del options["forbid_list"]
    test = VideoFeatureDataset(out / "test", annotation_dir=out / "annotations" / "test", test_mode=True, **options)
    assert test.events["Abuse028_x264"].tolist() == [[5.5, 8.0], [10.0, 10.5]] and len(test) == 24


def test_links_become_copies_on_demand_and_hard_links_where_there_are_no_others(places, monkeypatch):
    command(places)
    assert command(places, "--copy") == 0
    one = places[2] / "test/Abuse/Abuse028_x264.npy"
    assert not one.is_symlink() and one.stat().st_nlink == 1
    for path in places[2].rglob("*.npy"):
        path.unlink()
    monkeypatch.setattr(Path, "symlink_to", lambda *_: (_ for _ in ()).throw(OSError("not here")))
    for _ in range(2):
        assert command(places) == 0
        assert not one.is_symlink() and one.stat().st_nlink == 2


def test_the_record_of_the_features_goes_with_them(places):
    (places[1] / "features.json").write_text('{"model": "m"}')
    command(places)
    options = {"classes": CLASSES, "allow_missing": True}
    assert VideoFeatureDataset(places[2] / "test", **options).source == {"model": "m"}


def test_a_foreign_file_in_the_way_is_kept_and_nothing_is_written(places, capsys):
    mine = places[2] / "test/Abuse/Abuse028_x264.npy"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    assert command(places) == 1
    assert "Abuse028_x264.npy exists" in capsys.readouterr().err
    assert mine.read_bytes() == b"mine" and written(places[2]) == {"test/Abuse/Abuse028_x264.npy"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"train": [*TRAIN, TEST[0]]}, "1 videos are in both lists"),
        ({"train": ["Abus/Abuse001_x264.mp4"]}, "line 1: unknown class 'Abus'; did you mean 'Abuse'?"),
        ({"test": [*TEST, TEST[0]]}, "line 3: video 'Abuse028_x264' is listed twice"),
        ({"train": []}, "is empty"),
        ({"test": TEST[:1]}, "which is not a test video"),
        ({"events": EVENTS[:1]}, "1 test videos are missing in the temporal annotation: Normal_Videos_003_x264"),
        ({"events": [EVENTS[0].replace("Abuse ", "Arson "), EVENTS[1]]}, "'Arson' in the annotation and 'Abuse'"),
        (
            {"events": [EVENTS[0], "Normal_Videos_003_x264.mp4  Normal  1  9  -1  -1"]},
            "a video of the class 'Normal' has events",
        ),
    ],
)
def test_lists_that_do_not_fit_are_refused(places, changed, words, capsys):
    write_lists(places[0], **changed)
    assert command(places) == 1
    assert words in capsys.readouterr().err
    assert not written(places[2])


def test_two_files_of_one_name_or_none_at_all(places, capsys):
    (places[1] / "other").mkdir()
    np.save(places[1] / "other" / "Abuse028_x264.npy", np.zeros((2, 4), np.float16))
    assert command(places) == 1
    assert "two files of one name" in capsys.readouterr().err
    for path in places[1].rglob("*x264*.npy"):
        path.unlink()
    assert command(places) == 1
    assert "has the name of a listed video" in capsys.readouterr().err
    assert main([str(places[1] / "none"), str(places[2]), "--lists", str(places[0])]) == 1
    assert "none does not exist" in capsys.readouterr().err


def test_the_result_may_lie_beside_or_in_the_features(places):
    lists, features, _ = places
    for _ in range(2):
        assert main([str(features), str(features / "sorted"), "--lists", str(lists)]) == 0
    assert written(features / "sorted") > LAID_OUT


def real(*parts):
    path = SHARED.joinpath("data", *parts)
    if not path.exists():
        pytest.skip(f"no real data at {path}; set OPENTAD_SHARED to the folder above data/")
    return path


def test_the_official_lists_have_their_known_sizes():
    folder = real("annotations", "ucf_crime")
    train, test = read_list(folder / "Anomaly_Train.txt"), read_list(folder / "Anomaly_Test.txt")
    assert (len(train), len(test)) == (1610, 290)
    numbers = (800, 48, 45, 41, 47, 87, 29, 45, 127, 145, 27, 29, 95, 45)
    assert Counter(train.values()) == dict(zip(CLASSES, numbers, strict=True))
    assert Counter(test.values())["Normal"] == 150 and set(test.values()) == set(CLASSES)
    events = read_frame_annotation(folder / "Temporal_Anomaly_Annotation.txt")
    check_lists(train, test, events)
    assert sum(end - start for entry in events.values() for start, end in entry.events) == 84_189


def test_real_features_are_laid_out_and_cut_into_seconds(tmp_path):
    lists, features = real("annotations", "ucf_crime"), real("features", "ucf_crime_clip")
    train, test = read_list(lists / "Anomaly_Train.txt"), read_list(lists / "Anomaly_Test.txt")
    events = read_frame_annotation(lists / "Temporal_Anomaly_Annotation.txt")
    table, unknown = lay_out(tmp_path / "out", features=features, train=train, test=test, events=events)
    assert table.loc["all", "train found"] == 5 and table.loc["all", "test found"] == 0 and not unknown
    options = {"classes": CLASSES, "allow_missing": True, "crop_separator": "__", "snippet_duration": 30}
    dataset = VideoFeatureDataset(tmp_path / "out" / "train", **options, forbid_list=tmp_path / "out/test_videos.txt")
    seconds = {"Abuse001_x264": 90, "Abuse023_x264": 33, "Arrest002_x264": 59, "Arson005_x264": 39, "Arson029_x264": 44}
    assert Counter(dataset[i][2] for i in range(len(dataset))) == seconds  # 2729, 992, 1790, 1174, 1349 rows
    assert dataset.feature_dim == 512 and {dataset.classes[label] for label in dataset.labels} == {
        "Abuse", "Arrest", "Arson"
    }  # fmt: skip
    batch = dataset.__getitems__([0, 100, 264])
    assert np.allclose(batch["inputs"].norm(dim=-1), 1, atol=2e-3)
    covering = VideoFeatureDataset(tmp_path / "out" / "train", **options, test_mode=True)
    assert len(covering) == 265 + 5


def test_crops_as_other_repositories_name_them_are_laid_out_alike(tmp_path):
    stems = [
        "Abuse001_x264_0",
        "Abuse001_x264_i3d_1",
        "Abuse001_x264__2",
        "Abuse028_x264_i3d",
        "Normal_Videos_003_x264_9",
    ]
    (tmp_path / "features").mkdir()
    for stem in stems:
        np.save(tmp_path / "features" / f"{stem}.npy", np.zeros((12, 10, 4), np.float16))
    assert command((write_lists(tmp_path / "lists"), tmp_path / "features", tmp_path / "out")) == 0
    assert {name for name in written(tmp_path / "out") if name.endswith(".npy")} == {
        *(f"train/Abuse/Abuse001_x264__{crop}.npy" for crop in range(3)),
        "test/Abuse/Abuse028_x264.npy",
        "test/Normal/Normal_Videos_003_x264__9.npy",
    }
    data = VideoFeatureDataset(tmp_path / "out" / "test", crop_separator="__", test_mode=True)
    assert data.videos == ["Normal_Videos_003_x264", "Abuse028_x264"] and data.feature_dim == 4


def test_files_that_other_lists_laid_out_are_named(places, capsys):
    assert command(places) == 0
    before = written(places[2])
    moved = "Abuse/Abuse028_x264.mp4"
    write_lists(places[0], train=[*TRAIN, moved], test=TEST[1:], events=EVENTS[1:])
    assert command(places) == 1
    text = capsys.readouterr().err
    assert "1 files of" in text and "test/Abuse/Abuse028_x264.npy; remove them first" in text
    assert written(places[2]) == before


def test_a_copy_is_known_by_its_content(places, capsys):
    assert command(places, "--copy") == 0
    one = places[2] / "test/Abuse/Abuse028_x264.npy"
    (source,) = places[1].rglob(one.name)
    os.utime(one, (1, 1))
    assert command(places, "--copy") == 0 and one.stat().st_mtime == 1
    np.save(source, np.load(source) + 1)
    stat = source.stat()
    os.utime(one, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert command(places, "--copy") == 1
    assert "is neither a link nor a copy of" in capsys.readouterr().err.replace("exists and is", "is")
