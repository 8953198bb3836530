"""Lists of video files: the official forms, the real files, and what is wrong with a list or missing on disk."""

import logging
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.datasets.video_prompts import lists
from opentad_bi.datasets.video_prompts.lists import (
    ListedVideo,
    VideoList,
    check_files,
    class_prompt_name,
    read_class_folders,
    read_hmdb51,
    read_kinetics,
    read_numbered,
    read_ucf101,
    rename_classes,
)

CLASSES = ("Zebra", "air drumming", "HandstandPushups")
KINETICS = "label,youtube_id,time_start,time_end,split,is_cc\n"
odd_names = st.text(string.ascii_letters + string.digits + " !()#[]&+;~_-,.'", min_size=1, max_size=20).map(str.strip)


def rows_of(labels):
    """Strategy: odd file names, each once, with labels."""
    return st.lists(st.tuples(odd_names, labels), min_size=1, max_size=8, unique_by=lambda row: row[0])


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    return write


@pytest.fixture
def index(write):
    return write("classInd.txt", "1 Zebra\r\n3 HandstandPushups\r\n2 Apple\r\n")


def names(videos):
    return [(video.path.as_posix(), video.label) for video in videos.videos]


def snapshot(root):
    return {path: path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


# UCF101


def test_ucf101(write, index):
    lines = "Apple/v_Apple_g01_c01.avi 2\r\nHandstandPushups/v_HandStandPushups_g01_c01.avi 3\r\n"
    found = read_ucf101(write("train.txt", lines), index)
    assert found.classes == ("Zebra", "Apple", "HandstandPushups")
    assert names(found) == [
        ("Apple/v_Apple_g01_c01.avi", 1),
        ("HandstandPushups/v_HandStandPushups_g01_c01.avi", 2),
    ]
    assert found.counts() == [0, 1, 1]
    assert read_ucf101(write("test.txt", lines.replace(" 2", "").replace(" 3", "")), index) == found
    other = read_ucf101(write("other.txt", "HandStandPushups/v_HandStandPushups_g01_c01.avi\n"), index)
    assert other.videos[0].label == 2


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("Zebra/a.avi 1\nApple/b.avi 1\n", ValueError, "line 2: number 1 is not that of folder 'Apple', which is 2"),
        ("Zebra/a.avi 1\nAple/b.avi 2\n", KeyError, "line 2: folder 'Aple': unknown class; did you mean 'Apple'"),
        ("b.avi 2\n", KeyError, "line 1: folder '': unknown class"),
        ("Zebra/a.avi\n\nZebra/a.avi\n", ValueError, "line 3: 'Zebra/a.avi' stands in line 1"),
    ],
)
def test_wrong_ucf101(write, index, text, error, match):
    with pytest.raises(error, match=match) as raised:
        read_ucf101(write("train.txt", text), index)
    assert "train.txt" in str(raised.value)


# HMDB51


@given(rows_of(st.sampled_from("012")))
def test_hmdb51_names_of_any_kind(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("hmdb")
    rows = [(name + "_.avi", flag) for name, flag in rows]
    (folder / "climb_test_split1.txt").write_text("".join(f"{name} {flag} \r\n" for name, flag in rows))
    for part, number in lists.HMDB51_PARTS.items():
        expected = [(f"climb/{name}", 0) for name, flag in rows if flag == number]
        assert names(read_hmdb51(folder, 1, part)) == expected


def test_hmdb51_classes_are_sorted_by_name(write, tmp_path):
    for name in ("climb_stairs", "climb"):
        write(f"{name}_test_split2.txt", f"a_{name}.avi 1\nb.avi 2\n")
        write(f"{name}_test_split1.txt", "c.avi 1\n")
    found = read_hmdb51(tmp_path, 2, "train")
    assert found.classes == ("climb", "climb_stairs")
    assert names(found) == [("climb/a_climb.avi", 0), ("climb_stairs/a_climb_stairs.avi", 1)]


def test_hmdb51_in_a_given_order(write, tmp_path):
    for name in ("kick", "kick_ball", "sword"):
        write(f"{name}_test_split1.txt", "a.avi 1\n")
    found = read_hmdb51(tmp_path, 1, "train", classes=["kick ball", "kick"])
    assert found.classes == ("kick ball", "kick")
    assert names(found) == [("kick_ball/a.avi", 0), ("kick/a.avi", 1)]
    with pytest.raises(KeyError, match="class 'swrd': unknown class; did you mean 'sword'"):
        read_hmdb51(tmp_path, 1, "train", classes=["kick", "swrd"])


@pytest.mark.parametrize("line", ["a.avi 3", "a.avi", "1", "a.avi one"])
def test_wrong_hmdb51_line(write, tmp_path, line):
    write("climb_test_split1.txt", f"b.avi 1\n{line}\n")
    with pytest.raises(ValueError, match=f"climb_test_split1.txt, line 2: '{line}' is not a video and 0, 1 or 2"):
        read_hmdb51(tmp_path, 1, "train")


def test_wrong_hmdb51(write, tmp_path):
    write("climb_test_split1.txt", "b.avi 1\nb.avi 2\n")
    with pytest.raises(ValueError, match=r"line 2: 'climb/b\.avi' stands in line 1"):
        read_hmdb51(tmp_path, 1, "train")
    with pytest.raises(KeyError, match=r"part 'tran'.*did you mean 'train'"):
        read_hmdb51(tmp_path, 1, "tran")
    with pytest.raises(FileNotFoundError, match=r"no file <class>_test_split4\.txt"):
        read_hmdb51(tmp_path, 4, "train")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_hmdb51(tmp_path / "nowhere", 1, "train")


# Kinetics-400


def test_kinetics(write):
    lines = 'zumba,-_a,5,15,validate,0\n"abseiling",NA,0,10,validate,0\nzumba,c,1,11,train,0\n'
    table = write("val.csv", KINETICS + lines)
    found = read_kinetics(table, split="validate")
    assert found.classes == ("abseiling", "zumba")
    assert names(found) == [("zumba/-_a_000005_000015.mp4", 1), ("abseiling/NA_000000_000010.mp4", 0)]
    assert read_kinetics(table, classes=["zumba", "abseiling"]).counts() == [2, 1]
    assert read_kinetics(write("old.csv", "label,youtube_id,time_start,time_end,split\nzumba,c,1,11,train\n")).videos


@pytest.mark.parametrize(
    ("line", "error", "match"),
    [
        ("zumbe,b,1,11,train,0", KeyError, "line 3: label 'zumbe': unknown class; did you mean 'zumba'"),
        ("zumba,b,1.5,11,train,0", ValueError, "line 3: time_start '1.5'"),
        ("zumba,b,1,,train,0", ValueError, "line 3: time_end ''"),
        ("zumba,b,1,11", ValueError, "line 3: 4 values, 6 columns"),
        ("zumba,a,1,11,train,0", ValueError, "line 3: 'zumba/a_000001_000011.mp4' stands in line 2"),
    ],
)
def test_wrong_kinetics(write, line, error, match):
    table = write("val.csv", f"{KINETICS}zumba,a,1,11,train,0\n{line}\n")
    with pytest.raises(error, match=match) as raised:
        read_kinetics(table, classes=["zumba"])
    assert "val.csv" in str(raised.value)


def test_unknown_split_of_kinetics(write):
    table = write("val.csv", KINETICS + "zumba,a,1,11,validate,0\n")
    with pytest.raises(KeyError, match="no split 'validat'; did you mean 'validate'"):
        read_kinetics(table, split="validat")


# numbered lists


@given(
    rows_of(st.integers(0, 2)),
    st.sampled_from(" ,"),
)
def test_numbered_lists_of_any_names(tmp_path_factory, rows, separator):
    path = tmp_path_factory.mktemp("numbered") / "list.txt"
    rows = [(f"val/x{name}.mp4", label) for name, label in rows]
    path.write_text("".join(f"{name}{separator}{label}\r\n" for name, label in rows))
    assert names(read_numbered(path, CLASSES, separator=separator)) == rows


def test_numbered_list_with_class_folders(write):
    path = write("list.txt", "a.avi 1\nb.avi 0\n")
    found = read_numbered(path, CLASSES, class_folders=True)
    assert names(found) == [("air drumming/a.avi", 1), ("Zebra/b.avi", 0)]


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("b.mp4 3", r"line 2: label 3 is not in 0\.\.2, the 3 classes"),
        ("b.mp4 -1", "line 2: 'b.mp4 -1' is not a file"),
        ("b.mp4", "line 2: 'b.mp4' is not a file"),
        ("b.mp4,1", "line 2: 'b.mp4,1' is not a file, ' ' and a label"),
        ("a.mp4 1", "line 2: 'a.mp4' stands in line 1"),
    ],
)
def test_wrong_numbered_list(write, line, match):
    with pytest.raises(ValueError, match=match) as error:
        read_numbered(write("list.txt", f"a.mp4 0\n{line}\n"), CLASSES)
    assert "list.txt" in str(error.value)


def test_unknown_separator(write):
    with pytest.raises(ValueError, match="separator ';'"):
        read_numbered(write("list.txt", "a.mp4;0\n"), CLASSES, separator=";")


@given(st.permutations(range(4)))
def test_classes_are_renamed_after_their_files(order):
    words = ("kick", "kick_ball", "sword", "sit up")
    right = VideoList(words, tuple(ListedVideo(Path(name, f"{name}.avi"), label) for label, name in enumerate(words)))
    listed = VideoList(
        tuple(words[i].replace("_", " ") for i in order),
        tuple(ListedVideo(Path(f"{name}.avi"), label) for label, name in enumerate(words)),
    )
    found = rename_classes(listed, right)
    assert found.videos == listed.videos
    assert [class_prompt_name(name) for name in found.classes] == [class_prompt_name(name) for name in words]
    assert rename_classes(found, right) == found
    assert rename_classes(listed, VideoList(words, ())) == listed


def test_classes_that_cannot_be_renamed():
    right = VideoList(("a", "b"), (ListedVideo(Path("a/1.avi"), 0), ListedVideo(Path("b/2.avi"), 1)))
    mixed = VideoList(("x", "y"), (ListedVideo(Path("1.avi"), 0), ListedVideo(Path("2.avi"), 0)))
    with pytest.raises(ValueError, match=r"label 0 \('x'\) has files of 'a' and of 'b', as '2\.avi'"):
        rename_classes(mixed, right)
    twice = VideoList(("x", "b"), (ListedVideo(Path("2.avi"), 0), ListedVideo(Path("3.avi"), 1)))
    with pytest.raises(ValueError, match="'b' and 'b' are one"):
        rename_classes(twice, right)


# class folders and the disk


def test_class_folders(write, tmp_path):
    for name in ("b/2.mp4", "b/1.AVI", "b/.hidden.mp4", "b/notes.txt", "a [x]/1.mp4", ".cache/1.mp4", "list.txt"):
        write(name, "")
    found = read_class_folders(tmp_path)
    assert found.classes == ("a [x]", "b")
    assert names(found) == [("a [x]/1.mp4", 0), ("b/1.AVI", 1), ("b/2.mp4", 1)]
    assert check_files(found, tmp_path) == found


def test_wrong_class_folders(write, tmp_path):
    with pytest.raises(FileNotFoundError, match="no sub-folders"):
        read_class_folders(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_class_folders(tmp_path / "nowhere")
    write("air drumming/1.mp4", "")
    write("air_drumming/1.txt", "")
    with pytest.raises(ValueError, match="'air drumming' and 'air_drumming' are one"):
        read_class_folders(tmp_path)
    (tmp_path / "air drumming").rename(tmp_path / "other")
    with pytest.raises(ValueError, match="air_drumming holds no video"):
        read_class_folders(tmp_path)


def test_files_are_found_as_the_disk_spells_them(write, tmp_path):
    for name in (
        "air_drumming/A.mp4",
        "HandStandPushups/v_[1].avi",
        "Zebra/x.mp4",
        "Zebra/X.mp4",
        "Zebra/Y.MP4",
        "Zebra/y.MP4",
    ):
        write(name, "video")
    paths = [("Zebra/X.mp4", 0), ("Zebra/Y.mp4", 0), ("air drumming/a.MP4", 1), ("HandstandPushups/v_[1].avi", 2)]
    listed = VideoList(CLASSES, tuple(ListedVideo(Path(path), label) for path, label in paths))
    expected = [("Zebra/X.mp4", 0), ("Zebra/Y.MP4", 0), ("air_drumming/A.mp4", 1), ("HandStandPushups/v_[1].avi", 2)]
    assert names(check_files(listed, tmp_path)) == expected
    whole = VideoList(CLASSES, tuple(ListedVideo(tmp_path / video.path, video.label) for video in listed.videos))
    assert names(check_files(whole, tmp_path)) == [((tmp_path / path).as_posix(), label) for path, label in expected]


def test_another_listed_file_is_no_spelling_of_a_missing_one(write, tmp_path):
    write("a/x_Ab.mp4", "video")
    listed = VideoList(("a",), (ListedVideo(Path("a/x_aB.mp4"), 0), ListedVideo(Path("a/x_Ab.mp4"), 0)))
    assert names(check_files(listed, tmp_path, tolerate=0.5)) == [("a/x_Ab.mp4", 0)]


@pytest.mark.parametrize("present", [0, 1, 29, 57, 58, 71, 99, 100])
def test_missing_files_up_to_a_share(tmp_path, caplog, present):
    listed = VideoList(("a",), tuple(ListedVideo(Path(f"a/{i}.mp4"), 0) for i in range(100)))
    (tmp_path / "a").mkdir()
    for i in range(present):
        (tmp_path / f"a/{i}.mp4").write_text("video")
    if present < 100:
        (tmp_path / "a/99.mp4").mkdir()  # a folder is no video
    before, missing = snapshot(tmp_path), 100 - present
    with caplog.at_level(logging.WARNING):
        if present == 0:
            with pytest.raises(FileNotFoundError, match="100 of 100 listed videos are missing"):
                check_files(listed, tmp_path, tolerate=1.0)
        else:
            assert check_files(listed, tmp_path, tolerate=missing / 100).videos == listed.videos[:present]
            assert (f"{missing} of 100 listed videos are missing" in caplog.text) == (missing > 0)
        if missing:
            with pytest.raises(FileNotFoundError, match=f"{missing} of 100 listed videos"):
                check_files(listed, tmp_path, tolerate=(missing - 1) / 100)
    assert snapshot(tmp_path) == before


def test_wrong_use_of_check_files(tmp_path):
    empty = VideoList(("a",), ())
    assert check_files(empty, tmp_path) == empty
    with pytest.raises(ValueError, match="tolerate=5"):
        check_files(empty, tmp_path, tolerate=5)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        check_files(empty, tmp_path / "nowhere")
