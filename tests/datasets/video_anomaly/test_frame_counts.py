"""Captions that count other frames than the files: mapped by time, or named."""

import json
import logging

import pytest
from dataset_files import FPS, draw, encode
from places import SHARED

from opentad_bi.datasets.video_anomaly.captions import read_captions
from opentad_bi.datasets.video_anomaly.check import check_regions
from opentad_bi.datasets.video_anomaly.dataset import RegionVideoDataset
from opentad_bi.datasets.video_anomaly.frame_counts import fit_frames

BOX = [0.0, 0.0, 0.5, 0.5]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two videos of 50 frames, one of 40, at 25 per second."""
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in ("Abuse001", 50), ("Abuse002", 40), ("Arson003", 50):
        encode(folder / f"{name}.mp4", [draw(number) for number in range(frames)], lossless=False)
    return folder


def entry(name="Abuse001", frames=(10, 90), start=10, end=95, **more):
    keyframes = [{"frame": frame, "bbox": BOX, "enabled": True} for frame in frames]
    region = {"caption": "a man", "start_frame": start, "end_frame": end, "keyframes": keyframes}
    return {"f_path": f"{name}.mp4", "global_caption": f"{name} falls", "bbox_info": [region], **more}


def build(folder, root, *entries, **options):
    path = folder / "captions.json"
    path.write_text(json.dumps(list(entries)))
    return RegionVideoDataset(str(path), str(root), **{"frames": 8, "size": 32, **options})


def places(record):
    (region,) = record.regions
    return region.start, [keyframe.frame for keyframe in region.keyframes], region.end


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, (10, [10, 90], 95)),  # nothing to compare
        ({"frames_count": 50, "fps": 25.0}, (10, [10, 90], 95)),
        ({"frames_count": 51}, (10, [10, 90], 95)),  # decoders differ by a frame
        ({"frames_count": 100, "fps": 50.0}, (5, [5, 45], 48)),  # both last 2 seconds
        ({"framesCount": 60, "fps": 30.0}, (8, [8, 49], 49)),  # cut to the file
        ({"num_frames": 100, "fps": 50.0}, (5, [5, 45], 48)),
        ({"fps": 50.0}, (5, [5, 45], 48)),
        ({"frames_count": 100, "fps": 50.0, "timestamps": [0.0, 1.0]}, (10, [10, 90], 95)),  # a segment's own frames
    ],
)
def test_boxes_are_mapped_by_time_where_video_and_captions_last_equally_long(tmp_path, root, caplog, said, expected):
    data = build(tmp_path, root, entry(**said))
    assert places(data.records[0]) == expected
    assert ("mapped by time: Abuse001 by" in caplog.text) == (expected != (10, [10, 90], 95))


@pytest.mark.parametrize(("last", "count"), [(49, 0), (52, 0), (53, 1), (400, 1)])
def test_boxes_beyond_a_file_are_a_warning_where_nothing_is_said_of_frames(tmp_path, root, caplog, last, count):
    entries = entry(frames=(10, 20), start=10, end=last), entry("Abuse002", frames=(3, 9), start=3, end=12)
    data = build(tmp_path, root, *entries)
    assert places(data.records[0]) == (10, [10, 20], last)
    assert caplog.text.count(f"boxes of 1 videos end beyond their files: 'Abuse001' names frame {last} of 50") == count
    options = {"ann_files": str(tmp_path / "captions.json"), "root": str(root), "frames": 8}
    found = check_regions(RegionVideoDataset, options, full=False)
    assert next(own for own in found if own.name == "frame counts").level == ("warning" if count else "ok")


def test_a_constant_factor_of_several_videos_is_another_rate(tmp_path, root, caplog):
    entries = entry(frames_count=100), entry("Abuse002", frames_count=80), entry("Arson003", frames_count=50)
    data = build(tmp_path, root, *entries)
    assert [places(record)[1] for record in data.records] == [[5, 45], [5, 39], [10, 90]]
    assert "frames of 2 videos are counted at another rate" in caplog.text and "Abuse002 by 0.5" in caplog.text
    with pytest.raises(
        ValueError, match=r"2 of 2 videos have other frames .*'Abuse001' says 100 frames, but .*50 at 25"
    ):
        build(tmp_path, root, entry(frames_count=100), entry("Abuse002", frames_count=55))


def test_other_frames_are_an_error_or_skipped_and_counted(tmp_path, root, caplog):
    bad, good = entry(frames_count=75, fps=25.0), entry("Abuse002", frames_count=40)
    with pytest.raises(
        ValueError, match=r"'Abuse001' says 75 frames at 25 per second, but .*Abuse001.mp4 has 50 at 25 "
    ):
        build(tmp_path, root, bad, good)
    data = build(tmp_path, root, bad, good, on_bad_entry="skip")
    assert data.videos == ["Abuse002"] and data.report.skipped == {"other frames than the file": 1}
    assert "left out" in caplog.text


def test_the_check_says_what_was_compared(tmp_path, root):
    path = tmp_path / "captions.json"
    options = {"ann_files": str(path), "root": str(root), "frames": 8, "tolerate": 0.9}

    def verdict(*entries):
        path.write_text(json.dumps(list(entries)))
        found = check_regions(RegionVideoDataset, options, full=False)
        return next(own for own in found if own.name == "frame counts")

    half = verdict(entry(frames_count=100, fps=50.0), entry("Arson009", frames_count=9))
    assert half.level == "ok" and "1 of 2 videos compared, 2 say their frames" in half.found and "by 0.5" in half.found
    assert verdict(entry(frames=(10, 20), end=30)).found.startswith("0 of 1 videos compared, 0 say")
    bad = verdict(entry(frames_count=75, fps=25.0), entry("Abuse002"))
    assert bad.level == "error" and "'Abuse001' says 75 frames" in bad.found


def test_the_count_of_a_real_export_is_compared(tmp_path, caplog):
    path = SHARED / "cases" / "anomaly" / "frames_count_ignored.json"
    if not path.is_file():
        pytest.skip(f"no captions at {path}; set OPENTAD_SHARED to the folder above cases/")
    with caplog.at_level(logging.CRITICAL):
        records, _ = read_captions(path)
    encode(tmp_path / "x.mp4", [draw(number) for number in range(60)], lossless=False)
    fit = fit_frames(records, [tmp_path / "x.mp4"])
    assert f"355 frames at 24.975 per second, but {tmp_path / 'x.mp4'} has 60 at {FPS}" in fit.problems[0]
    assert fit_frames(records, [None]).compared == 0
