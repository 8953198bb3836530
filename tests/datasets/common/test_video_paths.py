"""Files of named videos by layouts, and classes by names, on the official lists where they are at hand."""

from pathlib import Path

import pytest
from places import SHARED

from opentad_bi.datasets.common.video_paths import LAYOUTS, check_layouts, class_of_path, find_video_file
from opentad_bi.datasets.video_anomaly.records import CaptionedVideo
from opentad_bi.datasets.video_anomaly.split_guard import guard, name_keys

UCF = ("Normal", "Abuse", "Arrest", "Arson", "Assault", "Burglary", "Explosion", "Fighting", "RoadAccidents", "Robbery",
       "Shooting", "Shoplifting", "Stealing", "Vandalism")  # fmt: skip


def touch(root, place):
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def video(name, path=None):
    return CaptionedVideo(name, path or f"{name}.mp4", None, False, "x")


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("UCF_Crimes_Videos/Abuse001_x264.mp4", "UCF_Crimes_Videos/Abuse001_x264.mp4"),
        ("UCF_Crimes_Videos/Abuse001_x264.mp4", "UCF_Crimes_Videos/UCF_Crimes/Videos/Abuse/Abuse001_x264.mp4"),
        ("Abuse001_x264.mp4", "UCF_Crimes/Videos/Abuse/Abuse001_x264.mp4"),
        ("Abuse001_x264", "Videos/Abuse/Abuse001_x264.mp4"),
        ("Abuse001_x264_3.mp4", "Abuse/Abuse001_x264.mp4"),
        ("Abuse001_x264_3", "Anomaly-Videos-Part-1/Abuse/Abuse001_x264.avi"),
        ("Abuse\\Abuse001_x264.mp4", "Abuse001_x264.mp4"),
        ("RoadAccedent002_x264.mp4", "Videos/RoadAccidents/RoadAccedent002_x264.mp4"),
        ("Normal_Videos_015_x264.mp4", "Videos/Testing_Normal_Videos_Anomaly/Normal_Videos_015_x264.mp4"),
        ("Normal_Videos308_3_x264_1.mp4", "Training_Normal_Videos_Anomaly/Normal_Videos308_3_x264.mp4"),
        ("Normal_Videos308_x264.mp4", "Videos/Normal_Videos_event/Normal_Videos308_x264.mp4"),
        ("mine/odd [1]*.mp4", "Videos/mine/odd [1]*.mp4"),
        ("odd 1 [2].mp4", "Anomaly-Videos-Part-2/odd/odd 1 [2].mp4"),
    ],
)
def test_layouts(tmp_path, asked, place):
    path = touch(tmp_path, place)
    assert find_video_file(asked, tmp_path) == path
    assert find_video_file(str(path), "elsewhere") == path


def test_the_first_layout_wins_and_a_segment_of_its_own_is_before_its_video(tmp_path):
    later, first = touch(tmp_path, "Abuse/Abuse001_x264.mp4"), touch(tmp_path, "Videos/Abuse/Abuse001_x264.mp4")
    assert find_video_file("Abuse001_x264.mp4", tmp_path) == first
    assert find_video_file("Abuse001_x264.mp4", tmp_path, ["{folder}/{file}"]) == later
    own = touch(tmp_path, "Videos/Abuse/Abuse001_x264_1.mp4")
    assert find_video_file("Abuse001_x264_1.mp4", tmp_path) == own


def test_all_that_was_tried_is_listed(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        find_video_file("Abuse001_x264_2.mp4", tmp_path)
    text = str(error.value)
    for name in ("Abuse001_x264_2.mp4", "Abuse001_x264.mp4"):
        for layout in LAYOUTS:
            assert str(tmp_path / layout.format(path=name, folder="Abuse", file=name)) in text
    assert f"{2 * len(LAYOUTS) - 2} files were tried" in text  # {path} and {file} are the same here


def test_layouts_that_cannot_be():
    with pytest.raises(ValueError, match=r"unknown field \{fille\}; did you mean 'file'"):
        check_layouts(["{folder}/{fille}"])
    for wrong in ("{folder", 3, None):
        with pytest.raises(ValueError, match="is not a path with"):
            check_layouts([wrong])
    with pytest.raises(ValueError, match="at least one"):
        check_layouts([])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Abuse028_x264.mp4", "Abuse"),
        ("RoadAccedents002_x264", "RoadAccidents"),
        ("Normal_Videos_015_x264.mp4", "Normal"),
        ("Testing_Normal_Videos_Anomaly/some.mp4", "Normal"),
        ("a/Road_Accidents/clip7.mp4", "RoadAccidents"),
        ("clip7.mp4", None),
    ],
)
def test_classes_of_names(path, name):
    assert class_of_path(path, UCF) == name


def test_any_class_is_taken_where_none_are_given():
    assert class_of_path("Riot003.mp4") == "Riot" and class_of_path("riot.mp4") is None
    assert class_of_path("Normal_003.mp4", normal_class="Usual") == "Usual"


def lists(name):
    path = SHARED / "data" / "annotations" / "ucf_crime" / name
    if not path.is_file():
        pytest.skip(f"no real list at {path}; set OPENTAD_SHARED to the folder above data/")
    return path.read_text().split("\n")


@pytest.mark.parametrize(("name", "count"), [("Anomaly_Test.txt", 290), ("Anomaly_Train.txt", 1610)])
def test_the_official_lists(name, count):
    lines = [line.strip() for line in lists(name) if line.strip()]
    for line in lines:
        folder, file = line.split("/")
        expected = "Normal" if "Normal" in folder else folder
        assert class_of_path(file, UCF) == class_of_path(line, UCF) == expected
    assert len(lines) == count


# the guard


def test_test_videos_are_kept_out(tmp_path):
    listed = tmp_path / "test.txt"
    listed.write_text("Abuse/Abuse028_x264.mp4\nNormal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1\nmy clip 1.mp4\n")
    inside = [video("abuse028_x264"), video("Normal_Videos_003_x264_4"), video("s", "v/Abuse028_x264_1.mp4"),
              video("my clip 1"), video("Abuse028")]  # fmt: skip
    outside = [video("Abuse02_x264"), video("Normal_Videos003_x264"), video("my"), video("Abuse028_2_x264")]
    with pytest.raises(ValueError, match="5 of 9 entries are of 3 of the 3 videos in forbid_list, such as Abuse028, "):
        guard(outside + inside, listed)
    assert guard(inside + outside, listed, drop=True) == outside
    assert guard(inside, None) == inside and guard(outside, listed) == outside


def test_a_guard_without_names_is_a_mistake(tmp_path):
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"none\.txt names no video"):
        guard([video("a")], tmp_path / "none.txt")
    with pytest.raises(FileNotFoundError, match="forbid_list"):
        guard([video("a")], tmp_path / "missing.txt")


def test_the_official_lists_are_apart():
    test, train = (
        [line.strip() for line in lists(f"Anomaly_{part}.txt") if line.strip()] for part in ("Test", "Train")
    )
    records = [video(line.rpartition("/")[2], line) for line in train]
    assert guard(records, test) == records
    segments = [video(f"{Path(line).stem}_{number}", line) for number, line in enumerate(test)]
    with pytest.raises(ValueError, match="290 of 1900 entries are of 290 of the 290 videos"):
        guard(records + segments, test)
    assert name_keys("Normal_Videos308_3_x264_1.mp4") == {"normal_videos308_3"}
