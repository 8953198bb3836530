"""Clips of video files: samples by (index, seed), disjoint draws, labels and names of classes, batches, mistakes."""

import logging
from collections import Counter
from random import Random

import numpy as np
import pytest
import torch
from clip_files import CLASSES, CLIPS, GROUPS, group, toy_list, write_files
from close import close
from dataset_files import draw, encode
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.datasets.readers.base import VideoError
from opentad_bi.datasets.video_prompts.dataset import VideoFolder
from opentad_bi.datasets.video_prompts.selection import select_videos
from opentad_bi.registry import DATASETS

TOY = [{"type": "ToyClip"}]
MIX = {"type": "VideoMix", "kind": "spatiotemporal"}
PER_CLASS = GROUPS * CLIPS
seeds = st.integers(0, 2**40)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("toy"), toy_list())


def folder(root, videos=None, pipeline=TOY, **options):
    return VideoFolder(toy_list() if videos is None else videos, root, pipeline, **options)


def equal(a, b):
    same = all(torch.equal(a[key], b[key]) for key in ("inputs", "target") if key in a)
    return same and a.keys() == b.keys() and all(a[key] == b[key] for key in ("label", "meta", "drawn"))


# laws


@given(st.integers(0, 3 * PER_CLASS - 1), seeds, seeds)
def test_a_sample_depends_on_index_and_seed_alone(root, index, seed, other):
    data = [folder(root, mix={**MIX, "probability": 0.5}) for _ in range(2)]
    first = data[0][index, seed]
    data[1][other % len(data[1]), other]
    assert equal(first, data[1][index, seed]) and equal(data[0][index], data[0][index, index])
    assert first["label"] == data[0].labels[index] and first["meta"].video == data[0].videos[index]


def test_seeds_far_apart_are_other_draws(root):
    data, some = folder(root), {7, 8, *(7 + 2**k for k in range(45)), *(7 + 10**k for k in range(1, 13))}
    assert len({data[0, seed]["drawn"] for seed in some}) == len(some)


def test_the_partner_is_drawn_anew_for_every_seed(root):
    data = folder(root, pipeline=[{"type": "ToyClip", "drawn": True}], mix=MIX)
    own = [Random(seed).randrange(256) for seed in range(60)]
    partners = {v for seed in range(60) for v in data[2, seed]["inputs"].unique().tolist() if v != own[seed]}
    assert len(partners) > 30


def test_clips_are_mixed_as_often_as_said(root):
    data = folder(root, mix={**MIX, "probability": 0.3})
    mixed = sum(len(data[2, seed]["inputs"].unique()) == 2 for seed in range(400))
    assert 80 < mixed < 160


@given(st.sets(st.integers(0, 3 * PER_CLASS - 1), max_size=12), st.integers(0, 50), st.booleans(), st.booleans())
def test_a_blocked_video_is_as_if_it_were_not_listed(root, numbers, sampling_seed, suffix, whole):
    videos = toy_list()
    blocked = [videos.videos[i].path if suffix else videos.videos[i].path.with_suffix("") for i in numbers]
    rest = type(videos)(CLASSES, tuple(v for i, v in enumerate(videos.videos) if i not in numbers))
    shots = {"shots": 3, "val_shots": 3, "sampling_seed": sampling_seed}
    for options in [{}] if whole else [{"part": part, **shots} for part in ("train", "val")]:
        found = select_videos(videos, root, block_list=[path.as_posix() for path in blocked], **options)
        assert found == select_videos(rest, root, **options)


@given(seeds, st.integers(0, 50))
def test_the_partner_is_another_sample_of_the_same_draw(root, seed, sampling_seed):
    data = folder(root, part="train", shots=2, val_shots=2, group=group, sampling_seed=sampling_seed, mix=MIX)
    numbers = [1 + int(name.rpartition("_n")[2]) for name in data.videos]
    for index in range(len(data)):
        sample = data[index, seed]
        shares = {int(v): n / sample["inputs"].numel() for v, n in Counter(sample["inputs"].flatten().tolist()).items()}
        assert set(shares) <= set(numbers) and numbers[index] in shares and len(shares) <= 2
        target = torch.zeros(3)
        for value, share in shares.items():
            target[data.labels[numbers.index(value)]] += share
        close(sample["target"], target)


def test_every_other_sample_is_a_partner_equally_often(root):
    data = folder(root, part="train", shots=2, val_shots=2, mix=MIX)
    partners = Counter(value for seed in range(600) for value in data[2, seed]["inputs"].unique().tolist())
    own = 1 + int(data.videos[2].rpartition("_n")[2])
    counts = [count for value, count in partners.items() if value != own]
    assert len(counts) == len(data) - 1
    assert max(counts) < 1.6 * min(counts)


@given(
    st.one_of(st.none(), st.integers(1, 8)),
    st.one_of(st.tuples(st.integers(1, 8), st.just(0.0)), st.tuples(st.just(0), st.floats(0.01, 0.6))),
    st.integers(0, 1000),
)
def test_training_and_validation_ratio_no_group(root, shots, validation, sampling_seed):
    options = {"shots": shots, "val_shots": validation[0], "val_ratio": validation[1], "sampling_seed": sampling_seed}
    options |= {"group": group}
    (train, _), (val, _) = (select_videos(toy_list(), root, part=part, **options) for part in ("train", "val"))
    groups = [{(v.label, group(v.path, None)) for v in part.videos} for part in (train, val)]
    assert groups[0] and groups[1] and not groups[0] & groups[1]
    assert shots is None or train.counts() == [shots] * 3
    assert val.counts() == [validation[0]] * 3 if validation[0] else min(val.counts()) > 0


# what it gives


def test_all_videos_with_the_labels_of_the_list_and_names_for_prompts(root):
    data = folder(root, class_names={"hammer_throw": "throwing a hammer"})
    assert data.classes == ["Apply Eye Makeup", "Hammering", "throwing a hammer"]
    assert data.labels.dtype == np.int64 and data.labels.tolist() == [v.label for v in toy_list().videos]
    assert data.videos[0] == "ApplyEyeMakeup/v_ApplyEyeMakeup_g00_c00_n0" and len(data) == 3 * PER_CLASS
    assert all(CLASSES[label] == name.split("/")[0] for label, name in zip(data.labels, data.videos, strict=True))
    assert "target" not in data[0] and (data.source, data.feature_dim) == (None, None)


def test_names_for_prompts_from_a_file(root, tmp_path):
    (tmp_path / "names.json").write_text('{"Hammering": "using a hammer"}')
    assert folder(root, class_names=str(tmp_path / "names.json")).classes[1] == "using a hammer"


def test_a_protocol_counts_in_the_list_of_training(root):
    videos = toy_list()
    fewer = type(videos)(CLASSES[::-1], tuple(type(v)(v.path, 2 - v.label) for v in videos.videos[: PER_CLASS + 3]))
    kept = {
        "protocol": "most_frequent",
        "protocol_count": 2,
        "protocol_videos": fewer,
        "class_names": {"Hammering": "x"},
    }
    data = folder(root, **kept)
    assert data.classes == ["Apply Eye Makeup", "x"] and set(data.labels.tolist()) == {0, 1}
    assert (
        folder(root, protocol="new").classes == ["Hammer Throw"] and len(folder(root, protocol="base")) == 2 * PER_CLASS
    )
    random = {"protocol": "random", "protocol_count": 2}
    found = {tuple(folder(root, protocol_seed=seed, **random).classes) for seed in range(8)}
    assert len(found) > 1
    drawn = {tuple(folder(root, part="train", shots=1, sampling_seed=seed, **random).classes) for seed in range(8)}
    assert len(drawn) == 1  # other videos, the same classes


def test_names_are_put_right_by_the_files_of_a_reference(root):
    videos = toy_list()
    swapped = type(videos)((CLASSES[0], CLASSES[2], CLASSES[1]), videos.videos)
    data = folder(root, swapped, reference=[videos, videos], protocol="base", protocol_videos=swapped)
    assert data.classes == ["Apply Eye Makeup", "Hammering"]


def test_lists_are_named_by_a_config(tmp_path):
    videos = toy_list()
    write_files(tmp_path / "videos", videos)
    lines = [f"{v.path.as_posix()} {v.label}" for v in videos.videos]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    (tmp_path / "table.csv").write_text("id,name\n" + "\n".join(f"{i},{name}" for i, name in enumerate(CLASSES)))
    (tmp_path / "names.txt").write_text("\n".join(CLASSES))
    (tmp_path / "numbered.txt").write_text("\n".join(f"{i} {name}" for i, name in enumerate(CLASSES, 1)))
    whole = folder(tmp_path / "videos")
    for classes in (list(CLASSES), *(str(tmp_path / name) for name in ("table.csv", "names.txt", "numbered.txt"))):
        numbered = {"type": "numbered", "list_file": str(tmp_path / "list.txt"), "classes": classes}
        cfg = {"type": "VideoFolder", "videos": numbered, "root": str(tmp_path / "videos"), "pipeline": TOY}
        data = DATASETS.build(cfg)
        assert (data.classes, data.videos, data.labels.tolist()) == (whole.classes, whole.videos, whole.labels.tolist())
    sorted_names = folder(tmp_path / "videos", {"type": "folders"})
    assert sorted_names.classes == ["Apply Eye Makeup", "Hammer Throw", "Hammering"] and len(sorted_names) == len(whole)


def test_missing_files_are_counted_and_told_once(tmp_path, caplog):
    videos = toy_list()
    write_files(tmp_path, videos)
    for video in videos.videos[:6]:
        (tmp_path / video.path).unlink()
    with pytest.raises(FileNotFoundError, match="6 of 60 listed videos are missing"):
        folder(tmp_path, tolerate=0.05)
    with caplog.at_level(logging.WARNING):
        data = folder(tmp_path, tolerate=0.1)
    assert len(data) == 54 and [r.message for r in caplog.records if "missing" in r.message] == [
        r.message for r in caplog.records
    ]
    assert len(caplog.records) == 1


def test_blocked_videos_are_counted_and_unknown_names_told(tmp_path, caplog):
    videos = toy_list()
    write_files(tmp_path / "videos", videos)
    (tmp_path / "videos" / "Hammering").rename(tmp_path / "videos" / "hammering")  # as the disk spells it
    (tmp_path / "videos" / videos.videos[1].path).unlink()  # a missing one
    names = [folder(tmp_path / "videos", tolerate=0.1).videos[i] for i in (0, 25)]
    assert names[1].startswith("hammering/")
    names.append(videos.videos[1].path.as_posix())
    (tmp_path / "failed.txt").write_text("\n".join([*names, "HammerThrow/typo", ""]))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        data = folder(tmp_path / "videos", block_list=str(tmp_path / "failed.txt"))
    assert len(data) == 57 and not set(names) & set(data.videos)
    assert caplog.text.count("block list: 3 of 60 videos are left out") == 1
    assert "block list: 1 names are not in this list of 60 videos" in caplog.text
    assert caplog.text.count("HammerThrow/typo") == 1
    with pytest.raises(ValueError, match="block list: none of 60 videos is left"):
        folder(tmp_path / "videos", block_list=[v.path.as_posix() for v in videos.videos])
    with pytest.raises(FileNotFoundError, match=r"block list none\.txt does not exist"):
        folder(tmp_path / "videos", block_list="none.txt")


def test_files_of_other_classes_are_not_missed(tmp_path):
    videos = toy_list()
    write_files(tmp_path, type(videos)(CLASSES, videos.videos[2 * PER_CLASS :]))
    assert len(folder(tmp_path, protocol="new")) == PER_CLASS
    with pytest.raises(FileNotFoundError, match="40 of 40 listed videos are missing"):
        folder(tmp_path, protocol="base")


def test_another_seed_of_the_draw_is_another_draw(root):
    drawn = {tuple(folder(root, part="train", shots=4, sampling_seed=seed).videos) for seed in range(6)}
    assert len(drawn) >= 2


def test_a_class_without_videos_is_named(root, caplog):
    videos = toy_list()
    folder(root, type(videos)(CLASSES, videos.videos[:PER_CLASS]))
    assert "2 of 3 classes have no video" in caplog.text and "Hammering, HammerThrow" in caplog.text


def test_batches(root):
    data = folder(root, mix=MIX)
    batch = data.collate([data[1, 5], data[30, 6]])
    assert batch["inputs"].shape == (2, 2, 4, 3, 6, 8) and batch["inputs"].dtype == torch.uint8
    assert batch["labels"].tolist() == [0, 1] and batch["labels"].dtype == torch.int64
    assert batch["targets"].shape == (2, 3) and batch["targets"].dtype == torch.float32 and "masks" not in batch
    assert [meta.video for meta in batch["meta"]] == [data.videos[1], data.videos[30]]
    close(batch["targets"].sum(1), torch.ones(2))
    assert "targets" not in data.collate([folder(root)[0]])


def test_clips_of_different_lengths_are_padded_and_masked(root):
    long, short = folder(root)[3], folder(root, pipeline=[{"type": "ToyClip", "frames": 3}])[20]
    batch = VideoFolder.collate([short, long])
    assert batch["inputs"].shape == (2, 2, 4, 3, 6, 8) and batch["masks"].shape == (2, 2, 4)
    assert torch.equal(batch["inputs"][0, :, :3], short["inputs"]) and not batch["inputs"][0, :, 3].any()
    assert torch.equal(batch["inputs"][1], long["inputs"])
    assert batch["masks"].sum(2).tolist() == [[3, 3], [4, 4]] and not batch["masks"][0, :, 3].any()
    features = [{**sample, "inputs": sample["inputs"].float().mean((3, 4))} for sample in (short, long)]
    assert VideoFolder.collate(features)["inputs"].shape == (2, 2, 4, 3)


def test_worker_processes_change_nothing(root):
    data = folder(root, mix=MIX)
    keys = [(7, 1), (31, 2), (50, 3), (2, 4)]
    loaders = [
        torch.utils.data.DataLoader(data, 2, sampler=keys, num_workers=n, collate_fn=data.collate) for n in (0, 2)
    ]
    for here, there in zip(*loaders, strict=True):
        assert torch.equal(here["inputs"], there["inputs"]) and torch.equal(here["targets"], there["targets"])


def test_clips_of_video_files(tmp_path):
    for label, name in enumerate(("Bow (left)", "Jump_up")):
        (tmp_path / name).mkdir()
        for number in range(2):
            encode(tmp_path / name / f"a#{number}.v1.mp4", [draw(60 * label + n) for n in range(20)], lossless=True)
    steps = [
        {"type": "LoadClips", "frames": 4, "views": 2, "size": 32},
        {"type": "SpatialViews", "size": 32, "views": 3},
    ]
    data = folder(tmp_path, {"type": "folders"}, [*steps, {"type": "CollectClip"}], mix={**MIX, "kind": "spatial"})
    assert data.classes == ["Bow (left)", "Jump up"] and data.videos[3] == "Jump_up/a#1.v1"
    sample = data[0, 9]
    assert sample["inputs"].shape == (6, 4, 3, 32, 32) and sample["inputs"].dtype == torch.uint8
    plain = folder(tmp_path, {"type": "folders"}, [*steps, {"type": "CollectClip"}], mix=MIX, test_mode=True)
    assert "target" not in plain[0, 9] and not torch.equal(plain[0, 9]["inputs"], sample["inputs"])
    assert torch.equal(plain[0, 9]["inputs"], data.clip(0, Random(0))["inputs"])
    before = (tmp_path / "Jump_up" / "a#1.v1.mp4").read_bytes()[:500]
    (tmp_path / "Jump_up" / "a#1.v1.mp4").write_bytes(before)
    for number in range(2):  # the block list is the cure, and does what the message says
        with pytest.raises(VideoError, match=r"a#1\.v1\.mp4.*; block_list=\['Jump_up/a#1\.v1'\] leaves it out"):
            (plain, data)[number][3]
    assert (tmp_path / "Jump_up" / "a#1.v1.mp4").read_bytes() == before


# mistakes


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"part": "trian"}, ValueError, "part 'trian' is not a choice; did you mean 'train'"),
        ({"shots": 4}, ValueError, "part 'all' takes every video"),
        ({"part": "all", "val_ratio": 0.2}, ValueError, "val_ratio=0.2: part 'all'"),
        ({"part": "val", "shots": 4}, ValueError, "part 'val' is empty without val_shots or val_ratio"),
        ({"part": "train", "shots": PER_CLASS + 1}, ValueError, "class 'ApplyEyeMakeup' has 20 videos only"),
        (
            {"part": "train", "shots": 17, "val_shots": 4},
            ValueError,
            "shots=17 and val_shots=4 .*class 'ApplyEyeMakeup'",
        ),
        ({"part": "train", "shots": 1, "group": "ucf"}, KeyError, "group 'ucf'; did you mean 'ucf101'"),
        ({"part": "train", "shots": 1, "group": "hmdb51"}, ValueError, "is not named as in HMDB51"),
        ({"protocol": "bases"}, KeyError, "class protocol 'bases'; did you mean 'base'"),
        ({"protocol": "random"}, ValueError, "count=None is not within 1 and 3"),
        ({"protocol": "base", "protocol_count": 2}, ValueError, "takes no count"),
        (
            {"class_names": {"Hammerin": "x"}},
            KeyError,
            "unknown class 'Hammerin'; did you mean 'Hammering'",
        ),
        ({"class_names": {"Hammering": "Hammer Throw"}}, ValueError, "would both be 'Hammer Throw' in prompts"),
        ({"class_names": ["x"]}, ValueError, "must be a dict"),
        ({"tolerate": 2}, ValueError, "tolerate=2 is not a share"),
        ({"mix": {"type": "VideoMixx", "kind": "spatial"}}, KeyError, "did you mean 'VideoMix'"),
        ({"mix": {"type": "ToyClip"}}, ValueError, "is a step of a pipeline, not a mix"),
        ({"videos": {"type": "ucf10"}}, KeyError, "no video list is called 'ucf10'; did you mean 'ucf101'"),
        ({"videos": {"type": "ucf101", "list": "x"}}, ValueError, "no argument 'list'; did you mean 'list_file'"),
        ({"videos": {"type": "ucf101"}}, ValueError, "needs the argument 'list_file', 'class_file'"),
        ({"pipeline": [{"type": "LoadClip"}]}, KeyError, "did you mean 'LoadClips'"),
    ],
)
def test_wrong_settings_are_refused(options, kind, message, root):
    with pytest.raises(kind, match=message.replace("(", r"\(")):
        folder(root, **options)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder of videos .*none does not exist"):
        folder(tmp_path / "none")


def test_one_video_cannot_be_mixed(root):
    videos = toy_list()
    one = type(videos)(CLASSES[:1], videos.videos[:1])
    with pytest.raises(ValueError, match="needs a second video, but there is only 'ApplyEyeMakeup/v_Apply"):
        folder(root, one, mix=MIX)
    assert len(folder(root, one)) == 1 and len(folder(root, one, mix=MIX, test_mode=True)) == 1


def test_a_protocol_of_other_classes(root):
    other = toy_list(("ApplyEyeMakeup", "Hammering", "Sweeping"))
    with pytest.raises(KeyError, match="protocol_videos: class 'Sweeping' is not in the list"):
        folder(root, protocol="new", protocol_videos=other)
    videos = toy_list()
    one = type(videos)(CLASSES[:1], videos.videos[:1])
    with pytest.raises(ValueError, match="the protocol keeps none of 1 classes"):
        folder(root, one, protocol="new")


def test_two_videos_of_one_name(tmp_path):
    for name in ("a.mp4", "a.avi"):
        (tmp_path / "A").mkdir(exist_ok=True)
        (tmp_path / "A" / name).touch()
    with pytest.raises(ValueError, match=r"'A/a\.avi' and 'A/a\.mp4' have one name"):
        folder(tmp_path, {"type": "folders"})


def test_clips_of_different_sizes_are_no_batch(root):
    one, other = folder(root)[0], folder(root)[1]
    with pytest.raises(ValueError, match="different views or sizes"):
        VideoFolder.collate([one, {**other, "inputs": other["inputs"][:1]}])
