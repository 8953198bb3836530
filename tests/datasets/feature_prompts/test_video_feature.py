"""Units of feature files: which there are, what they hold, in which classes, with which weights."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from unit_files import write_classes

from opentad_bi.datasets.feature_prompts.dataset import VideoFeatureDataset
from opentad_bi.datasets.feature_prompts.index import snippet_starts, snippet_stride_rows
from opentad_bi.ops.records import UnitMeta
from opentad_bi.registry import DATASETS

CLASSES = {"Abuse": {"a0": 7, "a1": 3}, "Normal": {"n0": 5, "n1": 4, "n2": 1}, "Road_Accidents": {"r0": 6}}


@pytest.fixture
def folder(tmp_path):
    write_classes(tmp_path / "features", CLASSES)
    return tmp_path / "features"


@given(rows=st.integers(1, 40), unit=st.integers(1, 12), overlap=st.sampled_from([0, 0.25, 0.5, 0.9]))
def test_units_are_those_of_the_formula_and_cover_all_rows_when_asked_to(rows, unit, overlap):
    stride = max(1, int(unit * (1 - overlap)))
    plain = snippet_starts(rows, unit, stride, cover=False)
    assert len(plain) == max(0, (rows - unit) // stride + 1)
    assert plain.tolist() == [i * stride for i in range(len(plain))]
    covering = snippet_starts(rows, unit, stride, cover=True)
    seen = {row for start in covering for row in range(start, start + unit)}
    assert seen >= set(range(rows)) and (rows < unit or seen == set(range(rows)))
    assert covering[: len(plain)].tolist() == plain.tolist() and len(covering) <= len(plain) + 1


def test_the_stride_is_the_part_that_is_not_repeated():
    assert [snippet_stride_rows(10, tenths / 10) for tenths in range(10)] == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert [snippet_stride_rows(*pair) for pair in ((1, 0.5), (3, 0.5), (16, 0.25), (4, 0.9))] == [1, 1, 12, 1]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_sample_is_its_rows_in_float32(tmp_path, dtype, order):
    arrays = write_classes(tmp_path, CLASSES)
    for path in tmp_path.rglob("*.npy"):
        np.save(path, np.asarray(arrays[path.stem].astype(dtype), order=order))
    dataset = VideoFeatureDataset(tmp_path, snippet_duration=3, overlap_ratio=0.5)
    seen = 0
    for index in range(len(dataset)):
        sample = dataset[index, 17]
        features, label, video = sample
        start = sample.meta.start
        assert features.dtype == torch.float32 and sample.meta == UnitMeta(video, start, 3)
        assert np.array_equal(features, arrays[video][start : start + 3])
        assert dataset.classes[label] == {"a": "Abuse", "n": "Normal", "r": "Road Accidents"}[video[0]]
        seen += 1
    assert seen == sum(max(0, rows - 2) for videos in CLASSES.values() for rows in videos.values())


@given(st.data())
def test_a_batch_is_its_samples(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "shared"
    if not folder.exists():
        write_classes(folder, CLASSES)
    unit = data.draw(st.integers(1, 4))
    dataset = VideoFeatureDataset(
        folder, snippet_duration=unit, class_weights="balanced", test_mode=data.draw(st.booleans())
    )
    keys = data.draw(st.lists(st.integers(0, len(dataset) - 1), min_size=1, max_size=6))
    batch, samples = dataset.__getitems__([(key, 5) for key in keys]), [dataset[key] for key in keys]
    again = dataset.collate(samples)
    for one in (batch, again):
        assert torch.equal(one["inputs"], torch.stack([sample[0] for sample in samples]))
        assert one["labels"].tolist() == [sample[1] for sample in samples] == dataset.labels[keys].tolist()
        assert [meta.video for meta in one["meta"]] == [sample[2] for sample in samples]
        assert list(one["meta"]) == [sample.meta for sample in samples]
        assert torch.equal(one["weights"], torch.tensor([sample.weight for sample in samples]))
        assert one["inputs"].dtype == one["weights"].dtype == torch.float32 and one["labels"].dtype == torch.int64
    assert dataset.collate(batch) is batch


def test_a_test_set_covers_short_videos_and_left_over_rows(folder):
    dataset = VideoFeatureDataset(folder, snippet_duration=4, test_mode=True)
    metas = [dataset[i].meta for i in range(len(dataset))]
    assert [(m.start, m.rows) for m in metas if m.video == "a0"] == [(0, 4), (3, 4)]
    assert [(m.start, m.rows) for m in metas if m.video == "a1"] == [(0, 3)]
    features = dataset[metas.index(UnitMeta("a1", 0, 3))][0]
    assert torch.equal(features[3], features[2]) and not torch.equal(features[2], features[1])
    training = VideoFeatureDataset(folder, snippet_duration=4)
    assert "a1" not in {training[i][2] for i in range(len(training))}
    assert [line["too_short"] for line in training.statistics()] == [1, 1, 0]


def test_video_level_pooling_gives_the_mean_of_every_file(folder, tmp_path):
    arrays = write_classes(tmp_path / "again", CLASSES)
    dataset = VideoFeatureDataset(folder, use_video_level_pooling=True, snippet_duration=50)
    assert len(dataset) == len(arrays)
    for index in range(len(dataset)):
        sample = dataset[index]
        rows = arrays[sample[2]]
        assert sample.meta == UnitMeta(sample[2], 0, len(rows))
        assert sample[0].shape == (1, 4) and np.allclose(sample[0], rows.mean(0), rtol=1e-6)


def test_the_order_of_the_classes_is_as_stated(folder):
    assert VideoFeatureDataset(folder).classes == ["Normal", "Abuse", "Road Accidents"]
    assert VideoFeatureDataset(folder).normal_label == 0
    assert VideoFeatureDataset(folder, class_order="sorted").classes == ["Abuse", "Normal", "Road Accidents"]
    given = VideoFeatureDataset(folder, classes=["road-accidents", "ABUSE", "normal"])
    assert given.classes == ["road-accidents", "ABUSE", "normal"] and given.normal_label == 2
    by_video = {video: label for _, label, video in (given[i] for i in range(len(given)))}
    assert by_video == {"r0": 0, "a0": 1, "a1": 1, "n0": 2, "n1": 2, "n2": 2}


def test_listed_classes_may_be_a_part_and_may_be_missing(folder, caplog):
    dataset = VideoFeatureDataset(folder, classes=["Normal", "Arson", "Abuse"], allow_missing=True)
    assert "Road_Accidents" in caplog.text
    assert dataset.classes == ["Normal", "Arson", "Abuse"] and set(dataset.labels) == {0, 2}
    assert dataset.statistics()[1] == {
        "class": "Arson", "videos": 0, "files": 0, "rows": 0, "before": 0, "samples": 0, "too_short": 0
    }  # fmt: skip


def test_annotations_and_hidden_folders_among_the_classes_are_none(folder):
    (folder / ".cache").mkdir()
    (folder / "Abuse" / ".a2.77.tmp.npy").write_bytes(b"being written")
    (folder / "annotations").mkdir()
    (folder / "annotations" / "events.csv").write_text("file_name,start_time,end_time\na0,1,2\n")
    assert len(VideoFeatureDataset(folder, annotation_dir=folder / "annotations").classes) == 3


def test_shots_take_whole_videos_and_do_not_depend_on_other_classes(tmp_path):
    crops = {f"{name}{video}__{crop}": 3 for name in "x" for video in range(6) for crop in range(3)}
    write_classes(tmp_path / "one", {"X": crops})
    write_classes(tmp_path / "two", {"A": {"other__0": 2, "another__0": 2}, "X": crops})
    draws = set()
    for seed in range(8):
        options = {"shots": 2, "crop_separator": "__", "seed": seed}
        one, two = (VideoFeatureDataset(tmp_path / name, **options) for name in ("one", "two"))
        assert len(one.videos) == 2 and len(one.files) == 6
        assert one.videos == [video for video in two.videos if video.startswith("x")]
        assert one.videos == VideoFeatureDataset(tmp_path / "one", **options).videos
        draws.add(tuple(one.videos))
    assert len(draws) > 3


def test_the_first_files_of_every_class(folder):
    dataset = VideoFeatureDataset(folder, max_files_per_class=1)
    assert dataset.videos == ["n0", "a0", "r0"]


def test_weights_balance_the_classes(folder):
    dataset = VideoFeatureDataset(folder, class_weights="balanced", balanced=True)
    counts, labels = np.bincount(dataset.labels), dataset.labels
    weights = dataset.class_weights.numpy()
    assert np.allclose(weights * counts, (weights * counts)[0]) and np.isclose(weights[labels].mean(), 1)
    shares = np.bincount(labels, dataset.sample_weights)
    assert dataset.sample_weights.dtype == np.float64 and np.allclose(shares, 1 / 3)
    plain = VideoFeatureDataset(folder)
    assert plain.sample_weights is None and "weights" not in plain.__getitems__([0])


def test_weights_can_be_given(folder):
    named = VideoFeatureDataset(folder, class_weights={"road accidents": 5, "Normal": 0.5})
    assert named.class_weights.tolist() == [0.5, 1.0, 5.0]
    listed = VideoFeatureDataset(folder, class_weights=[1, 2, 3])
    assert listed.__getitems__([len(listed) - 1])["weights"].tolist() == [3.0]


def test_statistics_are_counted_and_logged(folder, caplog):
    with caplog.at_level("INFO", logger="opentad_bi"):
        dataset = VideoFeatureDataset(folder, snippet_duration=2, verbose=True)
    lines = dataset.statistics()
    assert [line["class"] for line in lines] == dataset.classes
    assert [line["rows"] for line in lines] == [10, 10, 6] and [line["videos"] for line in lines] == [3, 2, 1]
    assert [line["samples"] for line in lines] == [4, 4, 3] and [line["too_short"] for line in lines] == [1, 0, 0]
    assert "Road Accidents" in caplog.text and "11 samples" in caplog.text


def test_the_record_of_the_features_is_read(folder):
    assert VideoFeatureDataset(folder).source is None
    (folder / "features.json").write_text(json.dumps({"model": "ViT-B-32", "dim": 4}))
    dataset = DATASETS.build({"type": "VideoFeatureDataset", "feature_dir": str(folder)})
    assert dataset.source["model"] == "ViT-B-32" and dataset.feature_dim == 4


def test_an_extraction_that_did_not_end_is_a_warning(folder, caplog):
    record = folder / "features.json"
    record.write_text(json.dumps({"model": "m", "complete": True, "failed": {}}))
    VideoFeatureDataset(folder)
    assert "extraction" not in caplog.text
    for state, words in (
        ({"complete": False}, "complete: false; failed: none"),
        ({"complete": True, "failed": {"Abuse/a7": "cut short"}}, "complete: true; failed: Abuse/a7"),
        ({"complete": False, "failed": dict.fromkeys("abcdefg", "")}, "failed: a, b, c, d, e and 2 more"),
    ):
        caplog.clear()
        record.write_text(json.dumps({"model": "m", **state}))
        assert len(VideoFeatureDataset(folder)) == 26
        assert f"{record} reports an extraction that did not end" in caplog.text and words in caplog.text
    record.write_text("[1]")
    with pytest.raises(ValueError, match=r"features\.json holds a list where a JSON object is expected"):
        VideoFeatureDataset(folder)


@pytest.mark.parametrize("dtype", ["f2", "f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_ten_crops_of_rows_are_their_mean_or_one_of_them(tmp_path, dtype, order):
    rng, arrays = np.random.default_rng(0), {}
    for name, rows in ("a0", 7), ("n0", 2):
        folder = tmp_path / ("Abuse" if name == "a0" else "Normal")
        folder.mkdir()
        arrays[name] = rng.normal(size=(rows, 10, 4)).astype(dtype)
        np.save(folder / f"{name}.npy", np.asarray(arrays[name], order=order))
    for crop in (None, 3):
        dataset = VideoFeatureDataset(tmp_path, snippet_duration=3, test_mode=True, crop=crop)
        rows = {v: a.astype("f4").mean(1) if crop is None else a[:, crop].astype("f4") for v, a in arrays.items()}
        assert dataset.feature_dim == 4 and len(dataset) == 4
        for index in range(len(dataset)):
            features, _, video = dataset[index]
            own = rows[video][dataset[index].meta.start :][:3]
            own = np.concatenate([own, np.repeat(own[-1:], 3 - len(own), axis=0)])
            assert np.allclose(features, own, rtol=1e-6, atol=1e-7) and (crop is None or np.array_equal(features, own))
        pooled = VideoFeatureDataset(tmp_path, use_video_level_pooling=True, crop=crop)
        assert np.allclose(pooled[1][0][0], rows["a0"].mean(0), rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match=r"crop 10 is not one of the 10 crops"):
        VideoFeatureDataset(tmp_path, crop=10)
    np.save(tmp_path / "Normal" / "n1.npy", arrays["a0"].transpose(1, 0, 2).repeat(2, axis=1))
    with pytest.raises(ValueError, match=r"n1.npy have the shape \(10, 14, 4\); expected are rows .* \(T, 10, D\)"):
        VideoFeatureDataset(tmp_path)


def test_files_of_crops_belong_to_one_video(tmp_path):
    names = [f"Abuse028_x264_{crop}" for crop in range(3)]
    write_classes(tmp_path, {"Abuse": dict.fromkeys([*names, "Abuse030_x264"], 2), "Normal": {"n__1": 2}})
    assert VideoFeatureDataset(tmp_path, crop_separator="_").videos == ["n_", "Abuse028_x264", "Abuse030_x264"]
    assert VideoFeatureDataset(tmp_path, crop_separator="__").videos == ["n", *names, "Abuse030_x264"]
