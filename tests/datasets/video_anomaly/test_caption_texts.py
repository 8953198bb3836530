"""Texts made fit for training: translated, Chinese, empty and long ones."""

import json
from dataclasses import replace

import pytest
from caption_samples import write_form

from opentad_bi.datasets.video_anomaly.captions import read_captions
from opentad_bi.datasets.video_anomaly.records import has_chinese
from opentad_bi.datasets.video_anomaly.texts import (
    count_truncated,
    read_caption_map,
    settle_chinese,
    settle_empty,
    translate,
)


@pytest.fixture
def read(tmp_path):
    """Records and report of the list form."""
    return read_captions(write_form(tmp_path, "list"))


def test_chinese_is_told_from_other_letters():
    assert has_chinese("a 人 runs") and has_chinese("豈")
    assert not has_chinese("naïve “ok” ひらがな 한국")


def test_a_map_translates_whole_captions(tmp_path, read):
    path = tmp_path / "map.json"
    path.write_text(
        json.dumps({"一个人打破窗户": "a person breaks a window ", "两个 men break in.": "Two men break in."})
    )
    records, report = read
    found = translate(records, read_caption_map(path), report)
    assert found[1].caption == "Two men break in." and found[1].regions[0].caption == "a person breaks a window"
    assert found[0] == records[0] and report.translated == 2
    for wrong in ([], {"a": 3}, {"a": " "}):
        path.write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match=r"map\.json"):
            read_caption_map(path)


def test_chinese_captions_stay_go_or_stop(read):
    records, report = read
    assert settle_chinese(records, "warn", report) == records
    kept = settle_chinese(records, "skip", report)
    assert [record.name for record in kept] == ["Abuse001_x264", "Normal_Videos003_x264"]
    assert report.skipped["the caption holds Chinese"] == 1
    with pytest.raises(ValueError, match="1 captions and 1 of regions hold Chinese, such as '两个"):
        settle_chinese(records, "error", report)
    with pytest.raises(ValueError, match="on_chinese 'drop'"):
        settle_chinese(records, "drop", report)


def test_wrong_texts_are_translated_looked_at_and_counted_too(read):
    records, report = read
    region = replace(records[0].regions[0], negatives=("一只狗", "a bus"))
    records = [replace(records[0], regions=(region,))]
    (found,) = translate(records, {"一只狗": "a dog"}, report)
    assert found.regions[0].negatives == ("a dog", "a bus")
    with pytest.raises(ValueError, match="0 captions and 1 of regions hold Chinese, such as '一只狗'"):
        settle_chinese(records, "error", report)
    (kept,) = settle_chinese(records, "skip", report)
    assert kept.regions[0].negatives == ("a bus",) and kept.regions[0].caption == region.caption
    assert count_truncated(records, len, region_limit=4)["regions"] == (len(region.caption) > 4) + 1


def test_empty_captions(read):
    records, report = read
    found = settle_empty(records, "region", report)
    assert found[0].regions[2].caption == records[0].caption  # a box without words takes those of its video
    assert found[2].caption == "a surveillance video of Normal"
    assert [record.name for record in settle_empty(records, "skip", report)] == [r.name for r in records[:2]]
    assert report.skipped["no caption"] == 1
    with pytest.raises(ValueError, match="1 videos have no caption, such as 'Normal_Videos003_x264'"):
        settle_empty(records, "error", report)


def test_the_first_region_speaks_for_a_video(tmp_path):
    entry = {"f_path": "Abuse001.mp4", "bbox_info": [{"caption": ""}, {"caption": "a kick"}]}
    records, report = read_captions(write_form(tmp_path, "list", [entry, {"f_path": "clip", "global_caption": ""}]))
    found = settle_empty(records, "region", report)
    assert [(r.caption, [g.caption for g in r.regions]) for r in found] == [("a kick", ["a kick"])]
    assert report.skipped == {"no caption": 1} and report.empty_captions == 2


def test_texts_that_a_tower_cuts_off_are_counted(read):
    asked = []

    def count(text):
        asked.append(text)
        return len(text.encode())

    found = count_truncated(read[0], count, caption_limit=25, region_limit=10)
    assert found == {"captions": 1, "regions": 2, "longest": 28}
    assert len(asked) == len(set(asked)) == 5
