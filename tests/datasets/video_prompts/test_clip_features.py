"""Features in place of frames: what they must have been made by, what is read, and what is refused."""

import json

import numpy as np
import pytest
import torch
from clip_files import group, toy_list, write_files

from opentad_bi.datasets.common.feature_files import feature_path
from opentad_bi.datasets.video_prompts.dataset import VideoFolder
from opentad_bi.datasets.video_prompts.features import NoRandomness, difference, pipeline_settings

STEPS = [
    {"type": "LoadClips", "frames": 4, "views": 2, "size": 32},
    {"type": "SpatialViews", "size": 32},
    {"type": "CollectClip"},
]
FLIP = [{"type": "Flip", "flip_ratio": 0.5}]
WIDTH = 5


def change(number, **options):
    """The pipeline with other arguments in one step."""
    return [{**step, **(options if i == number else {})} for i, step in enumerate(STEPS)]


@pytest.fixture
def root(tmp_path):
    return write_files(tmp_path / "videos", toy_list())


@pytest.fixture
def features(tmp_path):
    """A folder of features of the videos of `toy_list`; row 0 of each is the number of its file."""
    folder = tmp_path / "features"
    for number, video in enumerate(toy_list().videos):
        path = folder / video.path.with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        dtype = np.float16 if number % 2 else np.float32
        np.save(path, number + np.arange(2 * 4 * WIDTH).reshape(2, 4, WIDTH).astype(dtype))
    record = {"embed_dim": WIDTH, "weights_sha256": "ab", "pipeline": pipeline_settings(STEPS)}
    (folder / "features.json").write_text(json.dumps(record))
    return folder


def test_features_are_read_by_name_without_frames(root, features):
    options = {"part": "train", "shots": 3, "val_shots": 4, "group": group}
    data = VideoFolder(toy_list(), root, STEPS, features=features, **options)  # the files of videos are empty
    plain = VideoFolder(toy_list(), root, STEPS, **options)
    assert data.videos == plain.videos and data.feature_dim == WIDTH and data.source["weights_sha256"] == "ab"
    for index in range(len(data)):
        sample = data[index, 17]
        assert sample["inputs"].dtype == torch.float32 and sample["inputs"].shape == (2, 4, WIDTH)
        assert sample["inputs"][0, 0, 0] == int(data.videos[index].rpartition("_n")[2])
        assert sample["label"] == plain.labels[index] and sample["meta"].video == plain.videos[index]
    batch = data.collate([data[0], data[8, 1]])
    assert batch["inputs"].shape == (2, 2, 4, WIDTH) and batch["labels"].tolist() == [0, 2]


def test_only_what_changes_frames_counts(root, features):
    same = [
        *change(0, cache=str(root / "cache"), num_threads=4, reader="pyav")[:2],
        {"type": "Augment", "steps": FLIP, "enabled": False},
        {"type": "Augment", "steps": []},
        STEPS[2],
    ]
    assert len(VideoFolder(toy_list(), root, same, features=features)) == 60


def test_records_of_a_former_version_do_not_tell_how_frames_were_resized(root, features):
    record = json.loads((features / "features.json").read_text())
    assert record["pipeline"][0].pop("resize_mode") == "shortest"
    record["pipeline"][0]["interpolation"] = "bilinear"
    (features / "features.json").write_text(json.dumps(record))
    assert len(VideoFolder(toy_list(), root, change(0, interpolation="bilinear"), features=features)) == 60
    with pytest.raises(ValueError, match=r"LoadClips\.interpolation='bilinear', but the pipeline has"):
        VideoFolder(toy_list(), root, STEPS, features=features)
    with pytest.raises(
        ValueError, match=r"resize_mode='shortest', but the pipeline has LoadClips\.resize_mode='squash'"
    ):
        VideoFolder(toy_list(), root, change(0, interpolation="bilinear", resize_mode="squash"), features=features)


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (change(0, views=4), r"made with LoadClips\.views=2, but the pipeline has LoadClips\.views=4"),
        (change(1, views=3), r"made with SpatialViews\.views=1, but the pipeline has SpatialViews\.views=3"),
        (change(0, frames=8), r"LoadClips\.frames=4, but the pipeline has LoadClips\.frames=8"),
        (change(0, trim_black=True), r"LoadClips\.trim_black=False, but"),
        (STEPS[:2], "the steps LoadClips, SpatialViews, CollectClip, but the pipeline has the steps LoadClips, Spa"),
        (
            [*STEPS[:2], {"type": "Augment", "steps": FLIP}, STEPS[2]],
            "cannot be augmented anew in every epoch; set enabled=False",
        ),
    ],
)
def test_another_pipeline_is_refused(pipeline, message, root, features):
    with pytest.raises(ValueError, match=message):
        VideoFolder(toy_list(), root, pipeline, features=features)


def test_a_mix_is_refused(root, features):
    with pytest.raises(ValueError, match="mix 'VideoMix': pixels are mixed, but features="):
        VideoFolder(toy_list(), root, STEPS, features=features, mix={"type": "VideoMix", "kind": "spatial"})


def test_missing_features_are_counted(root, features):
    gone = sorted(features.rglob("*.npy"))[:2]
    for path in gone:
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"2 of 60 videos have no features in .*: .*; make them by"):
        VideoFolder(toy_list(), root, STEPS, features=features)
    kept = VideoFolder(toy_list(), root, STEPS, features=features, protocol="new")  # those of others are not missed
    assert len(kept) == 20


def test_missing_features_of_damaged_videos_have_a_cure(root, features):
    gone, failed = sorted(features.rglob("*.npy"))[:2], features / "failed.txt"
    for path in gone:
        path.unlink()
    failed.write_text("Other/video\n")
    with pytest.raises(FileNotFoundError, match=r"make them by opentad-bi extract-clip-features --config$"):
        VideoFolder(toy_list(), root, STEPS, features=features)
    failed.write_text("".join(f"{path.relative_to(features).with_suffix('')}\n" for path in gone[:1]))
    with pytest.raises(FileNotFoundError, match=r"; 1 of them could not be read: block_list=.*failed\.txt leaves them"):
        VideoFolder(toy_list(), root, STEPS, features=features)
    failed.write_text("".join(f"{path.relative_to(features).with_suffix('')}\n" for path in gone))
    assert len(VideoFolder(toy_list(), root, STEPS, features=features, block_list=str(failed))) == 58


def test_features_without_a_record_or_of_another_kind(root, features):
    record = features / "features.json"
    record.write_text(json.dumps({"embed_dim": WIDTH, "frames_per_second": None}))
    with pytest.raises(ValueError, match="are not those of clips; make them by opentad-bi"):
        VideoFolder(toy_list(), root, STEPS, features=features)
    record.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no features\.json; make them by"):
        VideoFolder(toy_list(), root, STEPS, features=features)


def test_damaged_features_are_named(root, features):
    data = VideoFolder(toy_list(), root, STEPS, features=features)
    path = features / f"{data.videos[1]}.npy"
    for content in (b"", path.read_bytes()[:150], b"not an array"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"features .*_n1\.npy cannot be read"):
            data[1]
    for array in (np.zeros((2, 4, WIDTH), np.int64), np.zeros((2, 4, WIDTH), np.uint8), np.zeros((2, 4, WIDTH + 1))):
        np.save(path, array)
        with pytest.raises(ValueError, match=rf"_n1\.npy are {array.dtype} .*\(views, frames, 5\) are expected"):
            data[1]
    np.save(path, np.zeros((4, WIDTH)))
    with pytest.raises(ValueError, match=r"_n1\.npy are float64 \(4, 5\); \(views, frames, 5\) are expected"):
        data[1]


def test_names_stay_in_the_folder():
    assert feature_path("F", "a b/c.v1").as_posix() == "F/a b/c.v1.npy"
    for name in ("../x", "a/../../x", "/x"):
        with pytest.raises(ValueError, match="does not lie below the folder of videos"):
            feature_path("F", name)
    with pytest.raises(ValueError, match="is that of the record"):
        feature_path("F", "features")


def test_a_pipeline_that_draws_gives_no_features():
    for draw in ("random", "getrandbits", "uniform", "randrange", "sample", "gauss"):
        arguments = {"getrandbits": (3,), "uniform": (0, 1), "randrange": (4,), "sample": ([1, 2], 1), "gauss": (0, 1)}
        with pytest.raises(ValueError, match="a step of the pipeline is random"):
            getattr(NoRandomness(), draw)(*arguments.get(draw, ()))


def test_settings_read_back_from_a_file_are_the_same():
    settings = pipeline_settings(STEPS)
    assert difference(json.loads(json.dumps(settings)), settings) is None
    assert settings[0]["trim_black"] is False and "cache" not in settings[0]
