"""Caption files as people leave them: what is read all the same, what is told, what is refused by name."""

import gzip
import json
import logging

import pytest

from opentad_bi.datasets.video_anomaly.captions import captioned_videos, read_captions
from opentad_bi.utils.files import read_json, read_names

CLASSES = ["Normal", "Abuse", "Arson"]
BOX = {"frame": 3, "bbox": [0, 0, 0.5, 0.5], "enabled": True}
REGION = {"caption": "a man", "keyframes": [BOX]}
VIDEO = {"f_path": "Abuse001_x264.mp4", "global_caption": "A kick", "bbox_info": [REGION]}


def read(tmp_path, content, name="captions.json", **options):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_captions(path, classes=CLASSES, **options)


def refusal(tmp_path, *entries, name="captions.json"):
    with pytest.raises(ValueError) as caught:
        read(tmp_path, list(entries), name)
    assert str(tmp_path / name) in str(caught.value)
    return str(caught.value)


def test_json_lines_are_a_list(tmp_path):
    lines = json.dumps(VIDEO) + "\n\n" + json.dumps({**VIDEO, "f_path": "Abuse002_x264.mp4"}) + "\n"
    assert [record.name for record in read(tmp_path, lines, "captions.jsonl")[0]] == ["Abuse001_x264", "Abuse002_x264"]
    (tmp_path / "more.JSON").write_text(json.dumps([{**VIDEO, "f_path": "Abuse003_x264.mp4"}]))
    (tmp_path / "lines.JSONL").write_text(json.dumps({**VIDEO, "f_path": "Abuse004_x264.mp4"}))
    assert len(read_captions(tmp_path)[0]) == 4
    with pytest.raises(ValueError, match=r"bad.jsonl is not valid JSON: line 2: "):
        read(tmp_path, json.dumps(VIDEO) + "\n{", "bad.jsonl")


def test_damaged_files_are_named(tmp_path):
    packed = bytearray(gzip.compress(json.dumps([VIDEO] * 50).encode()))
    packed[30] ^= 255
    (tmp_path / "bad.json.gz").write_bytes(packed)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "long.json").write_text("[" + "1" * 5001 + "]")
    for name in ("bad.json.gz", "deep.json", "long.json"):
        with pytest.raises(ValueError, match=name):
            read_json(tmp_path / name)
    for bad in (3, [3], {"a": "b"}, []):
        with pytest.raises(ValueError, match="caption files"):
            read_captions(bad)


def test_a_byte_order_mark_hides_no_test_video(tmp_path):
    listed = tmp_path / "test.txt"
    listed.write_text("Abuse001_x264.mp4\n", encoding="utf-8-sig")
    assert read_names(listed) == ["Abuse001_x264.mp4"]
    path = tmp_path / "captions.json"
    path.write_text(json.dumps([VIDEO]))
    with pytest.raises(ValueError, match="Abuse001"):
        captioned_videos(path, classes=CLASSES, forbid_list=listed)


def test_a_list_of_entries_as_in_a_dict(tmp_path):
    entry = {"video": "Abuse001_x264.mp4", "global": {"Caption": "A kick"}, "region": [REGION]}
    (record,), report = read(tmp_path, [entry])
    assert record.caption == "A kick" and report.boxed_regions == 1
    assert "has no 'region'" in refusal(tmp_path, {"video": "Abuse001_x264.mp4", "global": {"Caption": "A kick"}})


@pytest.mark.parametrize(("change", "told"), [
    ({"bbox_info": None, "regions": [REGION]}, "'regions' is not read; expected are 'bbox_info'"),
    ({"bbox_info": None, "bbox_infos": [REGION]}, "'bbox_infos' is not read"),
    ({"region_captions": ["a man"]}, "in 'bbox_info' and in 'region_captions'"),
    ({"bbox_info": [{"caption": "a man", "bbox": [0, 0, 1, 1], "frame": 3}]}, "region 0: 'bbox' is not read; expected"),
    ({"bbox_info": [{"caption": "a man", "box_infos": [BOX]}]}, "expected are 'keyframes'"),
    ({"f_path": "coyo/1.jpg"}, "'coyo/1.jpg' is that of an image"),
    ({"global_caption": "a \udcd6\udcd0 man"}, "halves of characters"),
    ({"f_path": "Abuse\udcd6.mp4"}, "halves of characters"),
])  # fmt: skip
def test_what_would_be_lost_is_refused(tmp_path, change, told):
    message = refusal(tmp_path, {**VIDEO, **change})
    assert told in message and "entry 0" in message


def test_what_only_tells_of_regions_is_no_loss(tmp_path):
    entry = {**VIDEO, "num_regions": 1, "has_boxes": True, "region_ids": []}
    entry["bbox_info"] = [{**REGION, "bbox": [0, 0, 1, 1]}, {"caption": "a dog", "bbox_count": 2}]
    assert read(tmp_path, [entry])[1].boxed_regions == 1


def test_the_key_that_says_something_counts(tmp_path):
    entry = {"f_path": "", "video": "Abuse001_x264.mp4", "global_caption": "", "caption": "A kick",
             "bbox_info": [{"caption": "", "Caption": "a man", "keyframes": [BOX], "negatives": [],
                            "short_expr_negs": {"0": "a dog"}}]}  # fmt: skip
    (record,), _ = read(tmp_path, [entry])
    assert (record.name, record.caption) == ("Abuse001_x264", "A kick")
    assert (record.regions[0].caption, record.regions[0].negatives) == ("a man", ("a dog",))
    keyed = {"Abuse001_x264": {"global": {"Caption": None, "caption": "A kick"}, "region": []}}
    assert read(tmp_path, keyed)[0][0].caption == "A kick"


@pytest.mark.parametrize(("given", "window"), [
    (None, None), ([], None), ([[]], None), ([1, 3], (1.0, 3.0)), ([[1, 3]], (1.0, 3.0)), ([-1e-9, 3], (0.0, 3.0)),
])  # fmt: skip
def test_windows(tmp_path, given, window):
    assert read(tmp_path, [{**VIDEO, "timestamps": given}])[0][0].window == window
    assert "timestamps" in refusal(tmp_path, {**VIDEO, "timestamps": [-1, 3]})


def test_one_odd_segment_does_not_hide_the_others(tmp_path):
    segment = {"global": {"Caption": "People walk"}, "region": [], "timestamps": [[0, 3]]}
    inner = {f"Normal_Videos001_x264_{n}.mp4": segment for n in range(3)}
    outer = {"Normal_Videos001_x264.mp4": {**inner, "duration": 30.0, "category": "Normal", "fps": 30}}
    assert len(read(tmp_path, outer)[0]) == 3
    outer["Normal_Videos001_x264.mp4"]["Normal_Videos001_x264_3.mp4"] = None
    with pytest.raises(ValueError, match=r"1 of 4 entries .*segment 'Normal_Videos001_x264_3.mp4': an object"):
        read(tmp_path, outer)
    assert len(read(tmp_path, outer, on_bad_entry="skip")[0]) == 3


def test_what_is_left_out_or_taken_for_something_is_named(tmp_path, caplog):
    content = {
        "Abuse001_x264": {"global": {"caption": "x"}, "region": [REGION]},
        "Abuse002_x264": {"Global": {"caption": "x"}, "region": []},
        "Traffic_accident_7": {"global": {"caption": "A house burns"}, "region": []},
        "Abuse001_x264.mp4": {"global": {"caption": "y"}, "region": []},
    }
    with caplog.at_level(logging.WARNING):
        _, report = read(tmp_path, content)
    assert report.names() == {"it has no 'global'": ["'Abuse002_x264'"], "assumed_normal": ["'Traffic_accident_7'"]}
    assert (report.assumed_normal, report.repeated_videos) == (1, 1)
    assert "'Abuse002_x264'" in caplog.text and "assumed normal: 'Traffic_accident_7'" in caplog.text
    assert "1 assumed normal" in str(report) and "1 repeated videos" in str(report)
    caplog.clear()
    late = {"video": "Arson001_x264.mp4", "global_caption": "x", "region_captions": ["a", "b"], "box_infos": [[BOX]]}
    _, report = read(tmp_path, [late, {**VIDEO, "timestamps": [0, 1]}, {**VIDEO, "timestamps": [1, 2]}])
    assert "unequal lists: entry 0 ('Arson001_x264.mp4')" in caplog.text and report.repeated_videos == 0
