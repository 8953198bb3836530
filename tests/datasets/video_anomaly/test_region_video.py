"""Videos with described regions: samples, batches, draws, windows, damage, mistakes."""

import json
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_files import draw, encode

from opentad_bi.datasets.common import frames
from opentad_bi.datasets.readers.base import VideoError
from opentad_bi.datasets.readers.pyav import PyAVReader
from opentad_bi.datasets.video_anomaly import captions, dataset
from opentad_bi.datasets.video_anomaly.dataset import RegionVideoDataset
from opentad_bi.engine.data import train_loader
from opentad_bi.ops.names import bare_name
from opentad_bi.registry import DATASETS

FRAMES = 50  # of every video, at 25 per second
CLASSES = ["Normal", "Abuse", "Arson"]


def box(frame, *corners, enabled=True):
    return {"frame": frame, "bbox": list(corners or (0, 0, 0.5, 0.5)), "enabled": enabled}


def region(caption, *keyframes, negatives=()):
    return {"caption": caption, "keyframes": list(keyframes), "negatives": list(negatives)}


ENTRIES = [
    {
        "f_path": "Abuse001_x264.mp4",
        "global_caption": "A kick",
        "bbox_info": [
            region("a leg", box(10, 0, 0, 0.4, 0.4), box(20, 0.2, 0.2, 0.6, 0.6, enabled=False)),
            region("a dog", box(31, enabled=False), negatives=["a cat", "a fox"]),
            region("a wall", box(0)),
        ],
    },
    {
        "f_path": "Abuse002_x264.mp4",
        "global_caption": "a kick.",
        "bbox_info": [region("a foot", box(3, enabled=False))],
    },
    {"f_path": "Arson001_x264.mp4", "global_caption": "A fire", "bbox_info": []},
    {
        "f_path": "Normal_Videos001_x264_1.mp4",
        "global_caption": "People walk",
        "bbox_info": [region("a walker")],
        "timestamps": [0.4, 0.8],
    },
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Four videos of 50 drawn frames in class folders."""
    root = tmp_path_factory.mktemp("videos")
    places = ("Abuse/Abuse001", "Abuse/Abuse002", "Arson/Arson001", "Training_Normal_Videos_Anomaly/Normal_Videos001")
    for number, place in enumerate(places):
        path = root / "Videos" / f"{place}_x264.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(path, [draw(number + frame) for frame in range(FRAMES)], lossless=True)
    return root


@pytest.fixture
def make(root, tmp_path):
    """`make(entries, **arguments)` gives a dataset."""

    def build(entries=ENTRIES, **arguments):
        path = tmp_path / "train.json"
        path.write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
        arguments = {"frames": 6, "size": 16, "classes": CLASSES, **arguments}
        return DATASETS.build({"type": "RegionVideoDataset", "ann_files": str(path), "root": str(root), **arguments})

    return build


def same(a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[key], b[key]) if torch.is_tensor(a[key]) else a[key] == b[key] for key in a
    )


def test_a_sample(make):
    data = make()
    sample = data[0]
    assert sample["inputs"].shape == (6, 3, 16, 16) and sample["inputs"].dtype == torch.uint8
    assert sample["valid"].all() and (sample["label"], sample["abnormal"]) == (1, True)
    assert sample["region_captions"] == ["a leg", "a dog", "a wall"] and sample["meta"].video == "Abuse001_x264"
    frames = data.sampled(0, 0).frames
    assert frames.tolist() == [0, 9, 19, 31, 39, 49]  # 29 made way for the dog
    assert sample["box_mask"].tolist() == [[f == 19 for f in frames], [f == 31 for f in frames], [True] * 6]
    np.testing.assert_allclose(sample["boxes"][0, 2], [0.18, 0.18, 0.58, 0.58], atol=1e-6)
    assert (sample["boxes"][~sample["box_mask"]] == 0).all()


def test_frames_are_those_of_the_file_squashed(make, root):
    data = make(size=32)
    with PyAVReader(root / "Videos/Abuse/Abuse001_x264.mp4") as video:
        whole = video.frames([0, 9, 19, 31, 39, 49]).astype(float)
    blocks = whole.reshape(6, 4, 16, 4, 24, 3).mean(axis=(2, 4))  # the same part of the picture in the same place
    squares = data[0]["inputs"].permute(0, 2, 3, 1).numpy().astype(float).reshape(6, 4, 8, 4, 8, 3).mean(axis=(2, 4))
    assert abs(blocks - squares).max() < 3


def test_a_sample_depends_on_index_and_seed_alone(make, tmp_path):
    data, other = make(max_regions=1), make(max_regions=1, cache=str(tmp_path / "cache"))
    for seed in (3, 4, 3):
        other[1, 7]
        assert same(data[0, seed], other[0, seed])
    assert same(data[-4], data[0, 0]) and same(pickle.loads(pickle.dumps(data))[0, 5], data[0, 5])
    assert len(list((tmp_path / "cache").iterdir())) >= 2
    with pytest.raises(IndexError):
        data[4]


def test_regions_are_drawn_in_training_and_the_first_ones_taken_in_the_test(make):
    data = make(max_regions=2)
    drawn = {tuple(data[0, seed]["region_captions"]) for seed in range(30)}
    assert drawn == {("a leg", "a dog"), ("a leg", "a wall"), ("a dog", "a wall")}
    assert make(max_regions=2, test_mode=True)[0, 9]["region_captions"] == ["a leg", "a dog"]
    assert make(max_regions=0)[0]["boxes"].shape == (0, 6, 4)


def test_a_window_shorter_than_the_frames_repeats_its_last(make):
    data = make(frames=12)
    sample = data[3]
    assert data.sampled(3, 3).frames.tolist() == [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 19, 19]
    assert sample["valid"].tolist() == [True] * 10 + [False] * 2 and not sample["abnormal"] and sample["label"] == 0
    assert torch.equal(sample["inputs"][9], sample["inputs"][11]) and sample["region_captions"] == []


def test_a_normal_video_may_have_the_whole_picture_as_region(make):
    sample = make(frames=12, normal_region="full_frame")[3]
    assert sample["region_captions"] == ["a walker"] and torch.equal(sample["box_mask"][0], sample["valid"])
    assert torch.equal(sample["boxes"][0], sample["valid"][:, None] * torch.tensor([0.0, 0.0, 1.0, 1.0]))


@pytest.mark.parametrize(("mode", "end", "last"), [("label_studio", "video", 49), ("ignore", "video", 0),
                                                   ("label_studio", "keyframe", 0)])  # fmt: skip
def test_modes_of_lives(make, mode, end, last):
    sampled = make(frames=50, enabled_mode=mode, open_end=end).sampled(0, 0)
    assert np.flatnonzero(sampled.mask[2])[-1] == last


def test_a_batch(make):
    data = make()
    samples = [data[i] for i in (2, 0, 1)]
    batch = data.collate(samples)
    for key in ("boxes", "box_mask"):
        assert torch.equal(batch[key], torch.cat([sample[key] for sample in samples])), key
    assert batch["inputs"].shape == (3, 6, 3, 16, 16) and batch["valid"].shape == (3, 6)
    assert batch["captions"] == ["A fire", "A kick", "a kick."]
    assert (
        batch["boxes"].shape == (4, 6, 4) and batch["box_mask"].any(1).all() and batch["boxes"].dtype == torch.float32
    )
    assert batch["region_video"].tolist() == [1, 1, 1, 2] and batch["region_video"].dtype == torch.int64
    assert batch["region_captions"] == ["a leg", "a dog", "a wall", "a foot"]
    assert batch["region_negatives"] == [(), ("a cat", "a fox"), (), ()]
    assert batch["labels"].tolist() == [2, 1, 1] and batch["abnormal"].tolist() == [True] * 3
    assert [meta.video for meta in batch["meta"]] == ["Arson001_x264", "Abuse001_x264", "Abuse002_x264"]
    empty = data.collate([data[2], data[3]])
    assert empty["boxes"].shape == (0, 6, 4) and empty["box_mask"].shape == (0, 6) and empty["region_captions"] == []
    assert empty["region_video"].shape == (0,) and empty["region_video"].dtype == torch.int64


def test_a_loader_gives_balanced_batches_without_a_caption_twice(make):
    data = make([*ENTRIES, {"f_path": "Normal_Videos001_x264_2.mp4", "global_caption": "Nothing"}])
    loader = train_loader(data, batch_size=2, num_workers=0, accumulate=2, seed=1)
    for epoch in range(3):
        loader.sampler.epoch = epoch
        for batch in loader:
            first, second = batch["captions"]
            assert first.lower().rstrip(".") != second.lower().rstrip(".")


def test_what_the_frames_hit_is_counted(make):
    counts = make(frames=3).statistics()
    assert counts == {"videos": 4, "regions": 4, "too_many": 0, "outside": 0, "missed": 3, "used": 4, "short": 0,
                      "moved": 3, "padded": 0, "region_frames": 1.5}  # fmt: skip
    data = make(frames=3)
    told = data.collate([data[i] for i in range(4)])["counts"]
    assert {name: 4 * mean.item() for name, mean in told.items()} == {
        name: counts[name] for name in ("too_many", "outside", "missed", "short", "moved")
    }
    dropped = make(frames=3, policy="drop").statistics()
    assert (dropped["missed"], dropped["used"], dropped["moved"]) == (3, 1, 0)


def test_classes_are_those_of_the_records_where_none_are_given(make):
    data = make(classes=None)
    assert data.classes == ["Normal", "Abuse", "Arson"] and data.labels.tolist() == [1, 1, 2, 0]
    assert data.abnormal.tolist() == [True, True, True, False] and len(data) == 4
    assert data.report.regions == 5 and data.report.boxed_regions == 4


def test_test_videos_are_refused_or_left_out(make):
    with pytest.raises(ValueError, match="1 of 4 entries are of 1 of the 1 videos"):
        make(forbid_list=["Arson001_x264.mp4"])
    data = make(forbid_list=["Arson001_x264.mp4"], drop_forbidden=True)
    assert data.videos == ["Abuse001_x264", "Abuse002_x264", "Normal_Videos001_x264_1"]
    assert data.report.skipped == {"in forbid_list": 1}


def test_missing_files_are_an_error_or_tolerated(make):
    entries = [*ENTRIES, {"f_path": "Arson099_x264.mp4", "global_caption": "x"}]
    with pytest.raises(FileNotFoundError, match=r"1 of 5 videos have no file .*Arson099_x264\.mp4.*files were tried"):
        make(entries)
    assert len(make(entries, tolerate=0.3)) == 4


# windows


def levels(make, entries, **options):
    """The verdicts on windows, in the fast form: [(level, what is found)]."""
    own = dict(make(ENTRIES[:1]).__dict__, on_bad_entry="error") | options
    arguments = {name: own[name] for name in ("ann_files", "root", "frames", "classes", "on_bad_entry")}
    Path(arguments["ann_files"]).write_text(json.dumps(entries), encoding="utf-8")
    verdicts = RegionVideoDataset.verdicts(arguments, full=False)
    return [(verdict.level, verdict.found) for verdict in verdicts if verdict.name == "windows"]


LATE = {**ENTRIES[3], "f_path": "Normal_Videos001_x264_2.mp4", "timestamps": [2.5, 3]}


def test_a_window_beyond_its_video_is_found_before_the_training(make):
    [(level, told)] = levels(make, [*ENTRIES, LATE])
    assert level == "error" and "1 do not: video 'Normal_Videos001_x264_2'" in told and "beyond the 50 frames" in told
    assert levels(make, ENTRIES) == [("ok", "1 lie in their videos")] and levels(make, ENTRIES[:3]) == []
    assert [level for level, _ in levels(make, [*ENTRIES, LATE], on_bad_entry="skip")] == ["warning"]
    assert [level for level, _ in levels(make, [LATE], on_bad_entry="skip")] == ["error"]


def test_windows_beyond_their_video_are_left_out_if_asked_for(make, monkeypatch):
    told = []
    monkeypatch.setattr(captions.LOGGER, "warning", lambda text, *args: told.append(text % args))
    data = make([LATE, *ENTRIES], on_bad_entry="skip")
    assert data.videos == [bare_name(entry["f_path"]) for entry in ENTRIES] and len(data.paths) == len(data.labels) == 4
    assert data.report.skipped == {"the window is not in the video": 1} and data.report.videos == 4
    assert "1 windows are not in their videos" in told[0] and "Normal_Videos001_x264_2" in told[0]
    with pytest.raises(ValueError, match="none of 1 windows lies in its video"):
        make([LATE], on_bad_entry="skip")
    with pytest.raises(ValueError, match="begins beyond the 50 frames"):
        make([LATE])[0]


def test_the_rate_of_the_file_goes_before_that_of_the_captions(make):
    wrong = make([{**ENTRIES[3], "fps": 5.0, "frames_count": 9}], frames=12)
    assert wrong.records[0].fps == 5.0 and wrong.sampled(0, 0).frames.tolist() == [*range(10, 20), 19, 19]


def test_mistakes(make):
    for name, value in {"frames": 0, "size": 0, "policy": "ensur", "max_regions": -1, "normal_region": "full",
                        "balance": "even", "tolerate": 2, "empty_caption": "x", "on_chinese": "x", "reader": "x",
                        "min_region_frames": 0, "enabled_mode": "x", "open_end": "x", "interpolation": "x",
                        "layouts": ["{x}"]}.items():  # fmt: skip
        with pytest.raises((ValueError, KeyError), match=repr(value) if isinstance(value, str) else str(name)[:6]):
            make(**{name: value})
    with pytest.raises(ValueError, match="'Abuse001_x264' is abnormal and has the class 'Beating'"):
        make([{**ENTRIES[0], "category": "Beating"}])
    with pytest.raises(ValueError, match=r"'clip' is abnormal .*give its entry a 'category'"):
        make([{**ENTRIES[0], "f_path": "clip.mp4"}], layouts=["Videos/Abuse/Abuse001_x264.mp4"])
    with pytest.raises(ValueError, match=r"'Normal_Videos001_x264_1' \(.*begins beyond the 50 frames"):
        make([{**ENTRIES[3], "timestamps": [2.5, 3]}])[0]
    with pytest.raises(KeyError, match="normal_class 'Usual'"):
        make(normal_class="Usual")


# damage


@pytest.fixture
def broken_from(monkeypatch):
    """`broken_from(frame)` makes every frame from that one on undecodable."""

    def patch(first):
        def decode(reader, images, whole=PyAVReader._decode):
            bad = images.wanted[images.wanted >= first]
            if len(bad):
                raise reader.damaged(int(bad[0]))
            whole(reader, images)

        monkeypatch.setattr(PyAVReader, "_decode", decode)

    return patch


def test_a_video_that_ends_early_is_sampled_anew(make, broken_from, monkeypatch):
    told = []
    monkeypatch.setattr(dataset.LOGGER, "warning", lambda text, *args: told.append(text % args))
    broken_from(42)
    data = make()
    sample = data[0]
    assert data.sampled(0, 0).frames.max() < 42 and sample["valid"].all() and len(told) == 1
    assert "frame 49 of 50 cannot be decoded" in told[0] and "first 40 frames are used" in told[0]
    assert same(data[0], sample) and len(told) == 1


def test_a_video_that_breaks_early_is_an_error(make, broken_from):
    broken_from(12)
    with pytest.raises(VideoError, match=r"Abuse001_x264\.mp4: frame 19 of 50 cannot be decoded"):
        make()[0]
    broken_from(0)
    with pytest.raises(VideoError, match="cannot be decoded"):
        make()[0]


def test_frames_are_read_in_parts(make, monkeypatch):
    whole = make(frames=20)[0]["inputs"]
    monkeypatch.setattr(frames, "_AT_ONCE", 3)
    assert torch.equal(make(frames=20)[0]["inputs"], whole)


def test_the_report_is_logged(make, caplog, monkeypatch):
    monkeypatch.setattr(dataset.LOGGER, "propagate", True)
    with caplog.at_level(logging.INFO, logger="opentad_bi"):
        assert isinstance(make(), RegionVideoDataset)
    assert "4 videos (3 abnormal) of 4 entries; 5 regions (4 with boxes), 5 keyframes" in caplog.text
