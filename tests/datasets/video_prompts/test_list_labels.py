"""Labels of numbered lists against what the names of the files say."""

from pathlib import Path

import pytest
from places import SHARED

from opentad_bi.datasets.video_prompts import selection
from opentad_bi.datasets.video_prompts.lists import ListedVideo, VideoList, read_numbered
from opentad_bi.datasets.video_prompts.selection import check_labels

UCF = ["HammerThrow", "Hammering", "Handstand Pushups"]


def write(tmp_path, rows, classes=UCF, **more):
    (tmp_path / "list.txt").write_text("".join(f"{name} {label}\n" for name, label in rows))
    return {"type": "numbered", "list_file": str(tmp_path / "list.txt"), "classes": classes, **more}


def ucf(name, count=1):
    return [f"v_{name}_g{i // 7 + 1:02d}_c{i % 7 + 1:02d}.avi" for i in range(count)]


def rows(order, count=3):
    """Files of every class, labelled by their places in `order`."""
    spelt = {"HammerThrow": "HammerThrow", "Hammering": "Hammering", "Handstand Pushups": "HandStandPushups"}
    return [(file, order.index(name)) for name in UCF for file in ucf(spelt[name], count)]


def test_classes_in_the_order_of_the_list(tmp_path):
    found = selection.read_videos(write(tmp_path, rows(UCF)), tmp_path)
    assert found.counts() == [3, 3, 3]


def test_two_classes_the_other_way_round(tmp_path):
    swapped = ["Hammering", "HammerThrow", "Handstand Pushups"]
    cfg = write(tmp_path, rows(swapped))
    with pytest.raises(ValueError, match=r"6 of 9 files .*v_HammerThrow_g01_c01.avi under 'Hammering'.*`reference`"):
        selection.read_videos(cfg, tmp_path)
    reference = VideoList(tuple(swapped), tuple(ListedVideo(Path(f), label) for f, label in rows(swapped)))
    right = selection.read_videos(cfg, tmp_path, reference)
    assert [right.classes[video.label] for video in right.videos[:1]] == ["HammerThrow"]


def test_labels_that_start_at_1(tmp_path):
    one = [(name, label + 1) for name, label in rows(UCF)]
    with pytest.raises(ValueError, match=r"label 3 is not in 0\.\.2, .*first_label=1"):
        selection.read_videos(write(tmp_path, one), tmp_path)
    cfg = write(tmp_path, [row for row in one if row[1] < 3])  # none of the last class: the numbers alone would do
    with pytest.raises(ValueError, match=r"6 of 6 files are listed under another class.*give first_label=1"):
        selection.read_videos(cfg, tmp_path)
    found = selection.read_videos(write(tmp_path, one, first_label=1), tmp_path)
    assert found.counts() == [3, 3, 3] and found.videos[0].label == 0
    with pytest.raises(ValueError, match=r"label 0 is not in 1\.\.3, .*first_label=0"):
        selection.read_videos(write(tmp_path, rows(UCF), first_label=1), tmp_path)
    with pytest.raises(ValueError, match="first_label 2"):
        read_numbered(tmp_path / "list.txt", UCF, first_label=2)


@pytest.mark.parametrize(("count", "error"), [(1, False), (2, True)])
def test_one_in_a_hundred_is_a_warning(tmp_path, caplog, count, error):
    right = [(f"Hammering/{i}.mp4", 1) for i in range(100)]  # the folder says it
    wrong = [(f"hammer throw/x{i}.mp4", 2) for i in range(count)]
    cfg = write(tmp_path, [*right[: 100 - count], *wrong])
    if error:
        with pytest.raises(ValueError, match="2 of 100 files"):
            selection.read_videos(cfg, tmp_path)
    else:
        selection.read_videos(cfg, tmp_path)
        assert "1 of 100 files" in caplog.text


def test_files_that_say_nothing_are_not_counted(tmp_path):
    named = [(f"clip{i}.mp4", i % 3) for i in range(9)] + [("v_Archery_g01_c01.avi", 0)]
    assert sum(selection.read_videos(write(tmp_path, named), tmp_path).counts()) == 10


def test_the_longest_class_before_the_tags_is_meant_in_hmdb51():
    classes = ("sword", "draw_sword", "sword exercise")
    files = ["kick_sword_draw_sword_u_cm_np1_fr_med_1.avi", "a_sword_exercise_f_nm_np1_fr_bad_0.avi"]
    videos = VideoList(classes, tuple(ListedVideo(Path(f), label) for f, label in zip(files, (1, 2), strict=True)))
    check_labels(videos, "list")
    with pytest.raises(ValueError, match="list: 1 of 2 files"):
        check_labels(VideoList(classes, (ListedVideo(Path(files[0]), 0), videos.videos[1])), "list")


def test_the_real_list_of_ucf101_with_its_classes_in_the_order_of_the_alphabet(tmp_path):
    folder = SHARED / "data/annotations"
    if not (folder / "ucf101").is_dir():
        pytest.skip(f"no real lists at {folder}; set OPENTAD_SHARED to the folder above data/")
    numbered = [line.split()[1] for line in (folder / "ucf101/classInd.txt").open()]
    cfg = {"type": "numbered", "list_file": str(folder / "few_shot/ucf_splits_val1.txt"), "classes": numbered}
    assert len(selection.read_videos(cfg, tmp_path).videos) == 3783
    with pytest.raises(ValueError, match=r"153 of 3783 files .*`reference`"):
        selection.read_videos({**cfg, "classes": sorted(numbered)}, tmp_path)
    ucf101 = {"type": "ucf101", "list_file": str(folder / "ucf101/testlist01.txt")}
    ucf101["class_file"] = str(folder / "ucf101/classInd.txt")
    right = selection.read_videos({**cfg, "classes": sorted(numbered)}, tmp_path, ucf101)
    assert right.classes == tuple(numbered)
    hmdb = {"type": "numbered", "list_file": str(folder / "few_shot/hmdb_splits_val1.txt")}
    hmdb["classes"] = str(folder / "few_shot/hmdb_51_labels.csv")
    with pytest.raises(ValueError, match=r"120 of 1530 files .*`reference`"):
        selection.read_videos(hmdb, tmp_path)
    official = [{"type": "hmdb51", "folder": str(folder / "hmdb51"), "split": 1, "part": p} for p in ("train", "test")]
    assert len(selection.read_videos(hmdb, tmp_path, official).videos) == 1530
