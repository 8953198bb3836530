"""Caption files as the original has them: regions that cannot be read, boxes over the edge, paths of Label Studio."""

import json

import pytest

from opentad_bi.datasets.video_anomaly.captions import read_captions
from opentad_bi.datasets.video_anomaly.records import Region
from opentad_bi.prepare.label_studio import video_file

SERVED = "/data"  # where Label Studio says that its files are


def read(folder, content, **options):
    path = folder / "captions.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_captions(path, **options)


@pytest.mark.parametrize(
    "entry",
    [
        {"bbox_info": [{"keyframes": [{"frame": 1, "bbox": [0, 0, 1.3, 1]}]}, {"caption": "good"}]},
        {"bbox_info": [{"caption": "bad", "keyframes": 7}, {"caption": "good"}]},
        {"region_captions": [{}, "good"], "box_infos": [[], []]},
        {"region_captions": ["bad", "good"], "box_infos": [[{"frame": -1, "bbox": [0, 0, 1, 1]}]]},
        {"bbox_info": "nothing of it"},
        {"boxes": [[0, 0, 1, 1]]},
    ],
)
def test_the_fault_of_a_region_costs_no_video_and_makes_none_normal(tmp_path, caplog, entry):
    records, report = read(tmp_path, [{"f_path": "clip.mp4", **entry}], on_bad_entry="skip")
    assert [region.caption for region in records[0].regions][-1:] in (["good"], ["nothing of it"], [])
    assert records[0].abnormal is not report.assumed_normal
    assert report.skipped_regions == (entry.get("bbox_info") != "nothing of it")
    assert "1 skipped regions: entry 0" in caplog.text or not report.skipped_regions


def test_a_region_may_be_a_text(tmp_path):
    content = {"Abuse034_x264.mp4": {"global": {"Caption": ""}, "region": ["a man"]},
               "Abuse037_x264.mp4": {"global": {"Caption": ""}, "region": "a dog"}}  # fmt: skip
    records, report = read(tmp_path, content)
    assert [record.regions for record in records] == [(Region(text, None, None, ()),) for text in ("a man", "a dog")]
    assert report.regions == 2 and report.boxed_regions == 0


def test_boxes_a_little_over_the_edge_are_clipped_and_counted(tmp_path):
    def boxes(*given):
        keyframes = [{"frame": number, "bbox": box} for number, box in enumerate(given)]
        records, report = read(tmp_path, [{"f_path": "a", "bbox_info": [{"keyframes": keyframes}]}])
        return [keyframe.box for keyframe in records[0].regions[0].keyframes], report.clipped_boxes

    # a pixel of 640, a negative one, exactly 2 %, and one that is inside
    given = [[0.003125, 0.27, 1.0015625, 0.75], [-0.01, 0, 0.5, 1], [0.5, 0.5, 1.02, 1.02], [0, 0, 1, 1]]
    assert boxes(*given) == ([(0.003125, 0.27, 1.0, 0.75), (0, 0, 0.5, 1), (0.5, 0.5, 1, 1), (0, 0, 1, 1)], 3)
    for bad, hint in (
        ([0, 0, 1.03, 1], "x, y, width, height"),
        ([10, 10, 60, 90], "percent"),
        ([0, 0, 320, 240], "pixel"),
    ):
        with pytest.raises(ValueError, match=rf"reaches out of the frame; is it .*{hint}"):
            boxes(list(bad))


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (f"{SERVED}/local-files/?d=MSAD/Videos/Assault/Assault_1.mp4", "MSAD/Videos/Assault/Assault_1.mp4"),
        ("data/local-files/?d=MSAD%2FAssault%20two/Assault_1.mp4", "MSAD/Assault two/Assault_1.mp4"),
        ("http://localhost:8080/data/local-files/?d=a%26b+c/x%23y.mp4", "a&b+c/x#y.mp4"),
        (f"{SERVED}/local-files/?fileuri=3&d=a\\x.mp4&token=9", "a/x.mp4"),
        ("videos/local-files/x.mp4", "videos/local-files/x.mp4"),
        (f"{SERVED}/upload/3/0a1b2c3d-Abuse%20001.mp4", "Abuse 001.mp4"),
        ("http://localhost:8080/data/upload/0a1b2c3d-x.mp4", "x.mp4"),
        (f"{SERVED}/upload/3/x.mp4", f"{SERVED}/upload/3/x.mp4"),
        ("100%20/x?d=3.mp4", "100%20/x?d=3.mp4"),
    ],
)
def test_what_label_studio_serves_is_the_file_below_the_root(tmp_path, given, path):
    assert read(tmp_path, [{"video": given}])[0][0].path == path
    assert read(tmp_path, {given: {"global": "x", "region": []}})[0][0].path == path
    if "?" in given and "local-files" in given:
        assert video_file(given) == path  # the importer finds the same


def test_negatives_that_fg_clip_flags_as_none_are_none(tmp_path):
    region = {"caption": "x", "short_expr_negs": {"0": "y"}, "flag_short_neg": 0}
    records, _ = read(tmp_path, [{"f_path": "a", "bbox_info": [region, {**region, "flag_short_neg": 1}]}])
    assert [region.negatives for region in records[0].regions] == [(), ("y",)]
