"""Events of anomalies: how times are written, and which units of a video they leave."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_files import write_classes, write_events

from opentad_bi.datasets.feature_prompts.dataset import VideoFeatureDataset
from opentad_bi.datasets.feature_prompts.index import kept_snippets, merge_events, parse_time, read_event_tables

CLASSES = {"Abuse": {"a0": 12, "a1": 6}, "normal": {"n0": 5}}
PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)).map(lambda p: (p[0], p[0] + p[1])), min_size=1)


@given(hours=st.integers(0, 30), minutes=st.integers(0, 59), tenths=st.integers(0, 599))
def test_a_time_is_the_same_however_it_is_written(hours, minutes, tenths):
    seconds = tenths / 10
    whole = hours * 3600 + minutes * 60 + seconds
    assert parse_time(f"{hours:02d}:{minutes:02d}:{seconds:04.1f}") == pytest.approx(whole)
    assert parse_time(f" {whole:.1f} ") == pytest.approx(whole)
    assert parse_time(f"{minutes}:{seconds:04.1f}") == pytest.approx(minutes * 60 + seconds)


@pytest.mark.parametrize("text", ["", "1:75", "1:75:00", "-3", "abc", "1:2:3:4", "nan", "1e3", "12:", "1,5"])
def test_other_texts_are_no_time(text):
    with pytest.raises(ValueError, match="time"):
        parse_time(text)


@given(PAIRS)
def test_merged_events_are_apart_and_cover_the_same_time(pairs):
    merged = merge_events(pairs)
    assert (merged[1:, 0] > merged[:-1, 1]).all() and (merged[:, 1] > merged[:, 0]).all()
    for moment in np.arange(0, 40, 0.5) + 0.25:
        assert any(s < moment < e for s, e in pairs) == ((merged[:, 0] < moment) & (moment < merged[:, 1])).any()


@given(pairs=PAIRS, rows=st.integers(1, 45), unit=st.integers(1, 6))
def test_the_filter_follows_its_definition(pairs, rows, unit):
    starts, events = np.arange(max(1, rows - unit + 1)), merge_events(pairs)
    first = min(start for start, _ in pairs)
    for mode in ("post_event", "event_only", "off"):
        kept = kept_snippets(starts, unit, events, mode)
        for start, keep in zip(starts, kept, strict=True):
            overlaps = any(start < e and start + unit > s for s, e in pairs)
            early = mode == "post_event" and start + unit <= first
            assert keep == (overlaps or early or mode == "off")


@pytest.fixture
def folder(tmp_path):
    write_classes(tmp_path / "features", CLASSES)
    write_events(
        tmp_path / "events" / "deep" / "Abuse.csv",
        ("Abuse/a0.mp4", "00:03", "0:00:05"),
        ("a0", "4.5", "6"),
        ("gone", "1", "2"),
    )
    return tmp_path


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"strict_mode": "event_only"}, [3, 4, 5]),
        ({"strict_mode": "off"}, list(range(12))),
        ({"strict_normal_sampling": False}, list(range(12))),
        ({"test_mode": True}, list(range(12))),
    ],
)
def test_units_of_an_annotated_video(folder, options, expected, caplog):
    dataset = VideoFeatureDataset(folder / "features", annotation_dir=folder / "events", **options)
    starts = {name: [] for name in dataset.videos}
    for index in range(len(dataset)):
        starts[dataset[index][2]].append(dataset[index].meta.start)
    assert starts == {"n0": list(range(5)), "a0": expected, "a1": list(range(6))}
    assert dataset.events["a0"].tolist() == [[3, 6]]
    assert "events of 1 of 2 videos" in caplog.text and "gone" in caplog.text
    assert dataset.statistics()[1]["before"] == 18 and dataset.statistics()[1]["samples"] == 6 + len(expected)


def test_crops_share_the_events_of_their_video(tmp_path):
    write_classes(tmp_path / "f", {"Abuse": {"a__0": 6, "a__1": 6}, "Normal": {"n__0": 2}})
    events = write_events(tmp_path / "e.csv", ("a", 0, 2))
    dataset = VideoFeatureDataset(tmp_path / "f", annotation_dir=events, crop_separator="__")
    assert dataset.videos == ["n", "a"] and len(dataset) == 2 + 2 * 2


def test_a_table_may_have_more_columns_and_empty_lines(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("\ufeffid, end_time,file_name ,start_time\n7,2,v.mp4,1\n\n8,4,v,3\n", encoding="utf-8")
    assert {name: own.tolist() for name, own in read_event_tables(path).items()} == {"v": [[1, 2], [3, 4]]}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("a0", "5", "5"), "Abuse.csv, line 2: the event ends at '5', not after '5'"),
        (("a0", "0:99", "5"), "Abuse.csv, line 2: time '0:99'"),
        (("a0", "3"), "Abuse.csv, line 2: time ''"),
        (("a0", "3", "13.5"), "'a0' has an event from 3 to 13.5 s, beyond its 12 rows of 1 s"),
        (("n0", "1", "2"), "'n0' lies in the normal class"),
    ],
)
def test_a_wrong_event_is_an_error_that_says_where(tmp_path, row, words):
    write_classes(tmp_path / "features", CLASSES)
    write_events(tmp_path / "events" / "Abuse.csv", row)
    with pytest.raises(ValueError) as error:
        VideoFeatureDataset(tmp_path / "features", annotation_dir=tmp_path / "events")
    assert words in str(error.value)


def test_an_event_may_end_in_the_last_part_of_a_second(tmp_path):
    write_classes(tmp_path / "features", CLASSES)
    events = write_events(tmp_path / "e.csv", ("a0", 3, 12.9))
    assert VideoFeatureDataset(tmp_path / "features", annotation_dir=events).events["a0"].tolist() == [[3, 12.9]]


def test_a_table_without_a_column_or_a_folder_without_tables_is_an_error(tmp_path):
    path = write_events(tmp_path / "e.csv", ("a0", 1, 2), header=("file_name", "start", "end_time"))
    with pytest.raises(ValueError, match=r"no column 'start_time'; did you mean 'start'"):
        read_event_tables(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no \.csv"):
        read_event_tables(tmp_path / "empty")


def test_times_are_counted_in_rows_of_any_length(tmp_path):
    write_classes(tmp_path / "features", {"Abuse": {"a0": 12}, "normal": {"n0": 5}})
    write_events(tmp_path / "events.csv", ("a0", "2", "3"))
    options = {"annotation_dir": tmp_path / "events.csv", "strict_mode": "event_only"}
    for row_seconds, rows in ((1.0, [2]), (0.5, [4, 5]), (16 / 30, [3, 4, 5]), (2.0, [1])):
        dataset = VideoFeatureDataset(tmp_path / "features", row_seconds=row_seconds, **options)
        own = dataset.__getitems__([i for i, label in enumerate(dataset.labels) if label == 1])["meta"]
        assert [meta.start for meta in own] == rows
    with pytest.raises(ValueError, match=r"an event from 2 to 3 s, beyond its 12 rows of 0\.1 s"):
        VideoFeatureDataset(tmp_path / "features", row_seconds=0.1, **options)
    with pytest.raises(ValueError, match="row_seconds 0 must be a finite number above 0"):
        VideoFeatureDataset(tmp_path / "features", row_seconds=0, **options)
