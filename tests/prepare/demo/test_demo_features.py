"""Generated features: the layout, the events, and that they can be told apart, but not trivially."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from opentad_bi.datasets.feature_prompts.dataset import VideoFeatureDataset
from opentad_bi.evaluation.common.frame_annotation import read_frame_annotation
from opentad_bi.prepare.demo.features import make_demo_features
from opentad_bi.prepare.ucf_crime import CLASSES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "set"
    make_demo_features(folder, dim=64, train_videos=6, test_videos=3)
    return folder


def split(folder, name, **options):
    return VideoFeatureDataset(folder / name, annotation_dir=folder / "annotations" / name, **options)


def rows_of(dataset):
    batch = dataset.__getitems__(list(range(len(dataset))))
    return batch["inputs"][:, 0].numpy(), batch["labels"].numpy()


def test_both_splits_are_datasets_of_all_classes_and_share_no_video(folder):
    train, test = split(folder, "train", forbid_list=folder / "test_videos.txt"), split(folder, "test", test_mode=True)
    assert train.classes == test.classes == list(CLASSES)
    assert not set(train.videos) & set(test.videos)
    assert set(test.videos) == set((folder / "test_videos.txt").read_text().split())
    assert [line["videos"] for line in train.statistics()] == [39, *[6] * 13]
    assert [line["videos"] for line in test.statistics()] == [20, *[3] * 13]
    for file in test.files:
        rows = np.load(file.path)
        assert rows.dtype == np.float16 and np.allclose(np.linalg.norm(rows.astype(np.float32), axis=1), 1, atol=1e-2)


def test_the_official_form_and_the_tables_say_the_same(folder):
    frames = read_frame_annotation(folder / "Temporal_Anomaly_Annotation.txt")
    test = split(folder, "test", test_mode=True)
    assert set(frames) == set(test.videos)
    counts = set()
    for file in test.files:
        own = test.events.get(file.video, np.zeros((0, 2)))
        assert frames[file.video].label == test.classes[file.label]
        assert [list(pair) for pair in frames[file.video].events] == (own * 30).tolist()
        assert (len(own) == 0) == (file.label == 0)
        assert ((own[:, 1] <= file.rows) & (own[:, 1] - own[:, 0] >= 2)).all()
        counts.add(len(own))
    assert counts == {0, 1, 2}


def test_a_linear_classifier_tells_the_rows_of_events_apart(folder):
    rows, labels = rows_of(split(folder, "train", strict_mode="event_only"))
    unseen, truth = rows_of(split(folder, "test", strict_mode="event_only"))
    model = LogisticRegression(C=1000, max_iter=200).fit(rows, labels)
    inside = truth > 0
    assert model.score(unseen[inside], truth[inside]) > 0.97
    one = np.array([rows[labels == label][0] for label in range(len(CLASSES))])
    nearest_row = (unseen @ one.T).argmax(1)
    assert (nearest_row == truth)[inside].mean() < 0.9  # one example is not enough


def test_rows_outside_events_are_normal(folder):
    rows, labels = rows_of(split(folder, "train", strict_mode="event_only"))
    model = LogisticRegression(C=1000, max_iter=200).fit(rows, labels > 0)
    every = split(folder, "test", test_mode=True)
    batch = every.__getitems__(list(range(len(every))))
    found = model.predict(batch["inputs"][:, 0].numpy())
    truth = [any(s <= meta.start < e for s, e in every.events.get(meta.video, ())) for meta in batch["meta"]]
    assert (found == truth).mean() > 0.97 and 0.1 < np.mean(truth) < 0.6


def test_a_set_depends_on_its_seed_and_is_not_overwritten_unasked(tmp_path):
    options = {"classes": ("Normal", "Abuse"), "dim": 8, "train_videos": 1, "test_videos": 1}
    make_demo_features(tmp_path / "a", **options)
    make_demo_features(tmp_path / "b", **options, seed=1)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.npy")]
    assert len(files) == 4
    first = {file: (tmp_path / "a" / file).read_bytes() for file in files}
    assert all((tmp_path / "b" / file).read_bytes() != data for file, data in first.items())
    with pytest.raises(FileExistsError, match="already"):
        make_demo_features(tmp_path / "a", **options)
    make_demo_features(tmp_path / "a", **options | {"classes": ("Normal", "Arson")}, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "a" / "train").iterdir()) == ["Arson", "Normal"]
    make_demo_features(tmp_path / "a", **options, overwrite=True)
    assert {file: (tmp_path / "a" / file).read_bytes() for file in files} == first


def test_other_files_are_never_touched(tmp_path):
    (tmp_path / "train" / "Abuse").mkdir(parents=True)
    (tmp_path / "train" / "Abuse" / "mine.npy").write_bytes(b"x")
    with pytest.raises(FileExistsError, match="not empty"):
        make_demo_features(tmp_path, overwrite=True)
    assert (tmp_path / "train" / "Abuse" / "mine.npy").read_bytes() == b"x"


@pytest.mark.parametrize("options", [{"classes": ("Abuse", "Normal")}, {"seconds": (5, 9)}, {"train_videos": 0}])
def test_wrong_options_are_refused(tmp_path, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        make_demo_features(tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()
