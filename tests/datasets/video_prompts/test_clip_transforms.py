"""Clips of a video: which frames, which crops, one draw for all of them, and a sample decided by (video, seed)."""

import random

import numpy as np
import pytest
import torch
from dataset_files import draw, encode
from hypothesis import example, given
from hypothesis import strategies as st
from places import SHARED
from torchvision.transforms.v2 import functional as F

from opentad_bi.datasets.common.frames import INTERPOLATIONS
from opentad_bi.datasets.readers.base import VideoError, open_video
from opentad_bi.datasets.transforms.color import CLIP_MEAN
from opentad_bi.datasets.transforms.compose import Compose, random_box
from opentad_bi.datasets.transforms.geometry import picture_rows
from opentad_bi.datasets.video_prompts.pipeline import spread
from opentad_bi.models.clip.preprocess import FramePreprocess
from opentad_bi.ops.records import UnitMeta
from opentad_bi.registry import TRANSFORMS

STEPS = {
    "mirror": {"type": "Flip", "flip_ratio": 1.0},
    "upside down": {"type": "Flip", "flip_ratio": 1.0, "vertical": True},
    "colour": {"type": "ColorJitter"},
    "blur": {"type": "GaussianBlur", "probability": 1.0},
    "salt and pepper": {"type": "SaltAndPepper", "probability": 0.3},
    "cutout": {"type": "Cutout", "probability": 1.0},
}
OFF = [
    {"type": "Flip", "flip_ratio": 0.0},
    {"type": "Flip", "flip_ratio": 0.0, "vertical": True},
    {"type": "ColorJitter", "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0},
    {"type": "GaussianBlur", "probability": 0.0},
    {"type": "SaltAndPepper", "probability": 0.0},
    {"type": "Cutout", "probability": 0.0},
]
seeds = st.integers(0, 10_000)
sides = st.integers(8, 40)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A film of 50 drawn frames, 96 x 64."""
    path = tmp_path_factory.mktemp("clips") / "film.mp4"
    encode(path, [draw(number) for number in range(50)], lossless=False)
    return path


def build(kind, **arguments):
    return TRANSFORMS.build({"type": kind, **arguments})


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def describe(path, seed=0, label=3):
    return {"path": path, "video": "folder/film", "label": label, "rng": random.Random(seed)}


def load(path, **arguments):
    return build("LoadClips", **arguments)(describe(path))


def crop(imgs, clips, **arguments):
    return build("SpatialViews", **arguments)({"imgs": imgs, "clips": clips, "video": "film"})["imgs"]


def augment(imgs, *steps, seed=0, **arguments):
    results = {"imgs": imgs, "rng": random.Random(seed), "video": "film"}
    return build("Augment", steps=list(steps), **arguments)(results)["imgs"]


# frames


@given(st.integers(1, 2000), st.integers(1, 8), st.integers(1, 16))
def test_frames_are_spread_over_the_video(length, views, frames):
    found = spread(length, views * frames)
    assert np.array_equal(found, np.linspace(0, length - 1, views * frames).astype(int))
    assert found[0] == 0 and (np.diff(found) >= 0).all() and found.max() < length
    if views * frames > 1:
        assert found[-1] == length - 1
        assert np.diff(found).max() - np.diff(found).min() <= 1


@pytest.mark.parametrize("count", [(1, 1), (3, 4), (4, 16)])
def test_frames_are_those_of_the_file(video, count):
    views, frames = count
    results = load(video, frames=frames, views=views, size=64)
    with open_video(video) as reader:
        wanted = reader.frames(np.linspace(0, 49, views * frames).astype(int))
    assert results["clips"] == count
    assert np.array_equal(results["imgs"], wanted)


@given(sides, sides, st.integers(4, 50), st.sampled_from(sorted(INTERPOLATIONS)), seeds)
def test_sizes_and_pixels_are_those_of_torchvision(height, width, size, interpolation, seed):
    imgs = noise(2, height, width, 3, seed=seed)
    found = build("LoadClips", frames=2, size=size, interpolation=interpolation).resize(imgs)
    images = torch.from_numpy(imgs).permute(0, 3, 1, 2).contiguous()
    wanted = F.resize(images, size, INTERPOLATIONS[interpolation], antialias=True)
    # without AVX2, torch resizes bilinearly in one go and rounds once
    once = interpolation == "bilinear" and torch.backends.cpu.get_cpu_capability() == "DEFAULT"
    np.testing.assert_allclose(found, wanted.permute(0, 2, 3, 1).numpy().astype(int), rtol=0, atol=int(once))
    assert min(found.shape[1:3]) == size and found.flags.c_contiguous


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), seeds)
def test_black_strips_are_cut_off(top, bottom, height, seed):
    imgs = noise(3, top + height + bottom, 12, 3, seed=seed) // 2 + 100
    imgs[:, :top] = noise(3, top, 12, 3, seed=seed) % 16
    imgs[:, top + height :] = noise(3, bottom, 12, 3, seed=seed + 1) % 16
    whole = top + height + bottom
    assert picture_rows(imgs) == ((top, top + height) if height >= whole / 3 else (0, whole))


@given(st.integers(0, 255), st.integers(0, 4))
@example(15, 2)
@example(16, 2)
def test_a_row_is_judged_by_the_mean_of_its_brightest_moments(value, row):
    imgs = np.zeros((4, 6, 10, 3), dtype=np.uint8)
    imgs[2, row : row + 2] = value  # one frame of four is enough
    assert picture_rows(imgs) == ((row, row + 2) if value > 15 else (0, 6))


@pytest.mark.parametrize(("rows", "cut"), [(3, False), (79, False), (80, True), (239, True), (240, True)])
def test_strips_that_leave_less_than_a_third_stay(rows, cut):
    imgs = np.zeros((2, 240, 320, 3), dtype=np.uint8)
    imgs[:, 240 - rows :] = 200
    assert picture_rows(imgs) == ((240 - rows if cut else 0), 240)
    height, width = build("LoadClips", frames=2, size=24, trim_black=True).resize(imgs).shape[1:3]
    assert height == 24 and width <= 3 * 32  # not thousands of pixels


def test_black_columns_and_black_films_stay():
    imgs = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    assert picture_rows(imgs) == (0, 8)
    imgs[:, :, 3] = 255
    assert picture_rows(imgs) == (0, 8)


def test_strips_are_cut_off_before_the_size_is_changed(tmp_path):
    frames = [np.pad(draw(number)[:40], ((16, 8), (0, 0), (0, 0))) for number in range(8)]
    encode(tmp_path / "wide.mp4", frames, lossless=True)
    found = load(tmp_path / "wide.mp4", frames=8, size=40, trim_black=True)["imgs"]
    assert found.shape == (8, 40, 96, 3)
    with open_video(tmp_path / "wide.mp4") as reader:
        assert np.array_equal(found, reader.frames(range(8))[:, 16:56])
    assert load(tmp_path / "wide.mp4", frames=8, size=40)["imgs"].shape == (8, 40, 60, 3)


def test_files_that_cannot_be_read_are_named_and_stay(tmp_path, video):
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4 does not exist"):
        load(tmp_path / "gone.mp4", frames=2, cache=tmp_path / "cache")
    whole = video.read_bytes()
    for name, content in {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no video" * 50}.items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(content)
        with pytest.raises(VideoError, match=rf"{name}\.mp4"):
            load(path, frames=2, cache=tmp_path / "cache")
        assert path.read_bytes() == content
    assert not (tmp_path / "cache").exists()


# views


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 9), st.integers(0, 9), st.sampled_from([1, 3]))
def test_views_are_what_slicing_gives(clips, frames, taller, wider, views):
    size = 8
    imgs = noise(clips * frames, size + taller, size + wider, 3)
    found = crop(imgs, (clips, frames), size=size, views=views)
    assert found.shape == (clips * views, frames, size, size, 3) and found.flags.c_contiguous
    corners = [(round(taller / 2), round(wider / 2))]
    if views == 3:
        ((top, left),) = corners
        along = [(top, 0), (top, wider)] if wider >= taller else [(0, left), (taller, left)]
        corners = [along[0], (top, left), along[1]]
    for clip in range(clips):
        for view, (top, left) in enumerate(corners):
            wanted = imgs[clip * frames : (clip + 1) * frames, top : top + size, left : left + size]
            assert np.array_equal(found[clip * views + view], wanted)


@given(sides, sides, st.integers(4, 8), st.sampled_from(sorted(INTERPOLATIONS)), seeds)
def test_one_view_is_what_the_tower_does_with_the_frames(height, width, size, interpolation, seed):
    imgs = noise(2, height, width, 3, seed=seed)
    small = build("LoadClips", frames=2, size=size, interpolation=interpolation).resize(imgs)
    cfg = {"size": size, "interpolation": interpolation, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    wanted = FramePreprocess(cfg).resize(torch.from_numpy(imgs)).permute(0, 2, 3, 1)
    assert np.array_equal(crop(small, (1, 2), size=size)[0], wanted.numpy())


def test_the_sample(video):
    steps = [
        {"type": "LoadClips", "frames": 3, "views": 2, "size": 48},
        {"type": "SpatialViews", "size": 40, "views": 3},
        {"type": "CollectClip"},
    ]
    sample = Compose(steps)(describe(video))
    assert sample.keys() == {"inputs", "label", "meta"}
    assert sample["inputs"].shape == (6, 3, 3, 40, 40)
    assert sample["inputs"].dtype == torch.uint8 and sample["inputs"].is_contiguous()
    assert (sample["label"], sample["meta"]) == (3, UnitMeta("folder/film", 0, 1))
    imgs = Compose(steps[:2])(describe(video))["imgs"]
    assert np.array_equal(sample["inputs"].permute(0, 1, 3, 4, 2).numpy(), imgs)


# augmentation


@pytest.mark.parametrize("name", STEPS)
@given(seeds)
def test_one_draw_for_all_frames_and_views(name, seed):
    imgs = np.broadcast_to(noise(10, 12, 3, seed=seed), (3, 2, 10, 12, 3))
    kept = imgs.copy()
    found = augment(imgs, STEPS[name], seed=seed)
    assert found.shape == imgs.shape and found.dtype == np.uint8
    assert (found == found[0, 0]).all()
    assert np.array_equal(imgs, kept)
    assert np.array_equal(found, augment(imgs, STEPS[name], seed=seed))


@pytest.mark.parametrize("name", STEPS)
def test_every_augmentation_does_something_and_follows_the_seed(name):
    imgs = noise(2, 2, 16, 20, 3)
    found = [augment(imgs, STEPS[name], seed=seed) for seed in range(3)]
    assert not any(np.array_equal(one, imgs) for one in found)
    if "flip_ratio" not in STEPS[name]:
        assert not np.array_equal(found[0], found[1])


@given(seeds)
def test_nothing_at_strength_0_or_switched_off(seed):
    imgs = noise(2, 2, 8, 10, 3, seed=seed)
    assert np.array_equal(augment(imgs, *OFF, seed=seed), imgs)
    assert augment(imgs, *STEPS.values(), seed=seed, enabled=False) is imgs


@given(seeds, st.booleans())
def test_a_flip_twice_is_the_identity(seed, vertical):
    imgs = noise(2, 3, 7, 9, 3, seed=seed)
    flip = {"type": "Flip", "flip_ratio": 1.0, "vertical": vertical}
    assert np.array_equal(augment(imgs, flip), imgs[:, :, ::-1] if vertical else imgs[:, :, :, ::-1])
    assert np.array_equal(augment(imgs, flip, flip), imgs)


def test_blur_is_that_of_torchvision_to_two_grey_levels():
    imgs = noise(1, 2, 20, 24, 3)
    found = augment(imgs, {"type": "GaussianBlur", "probability": 1.0, "kernel": 7, "sigma": (1.3, 1.3)})
    wanted = F.gaussian_blur(torch.from_numpy(imgs).permute(0, 1, 4, 2, 3), [7, 7], [1.3, 1.3]).permute(0, 1, 3, 4, 2)
    assert np.abs(found.astype(int) - wanted.numpy()).max() <= 2  # OpenCV's kernel has 8 bits


@given(st.floats(0, 1), seeds)
def test_salt_and_pepper(probability, seed):
    imgs = np.full((1, 2, 60, 60, 3), 100, dtype=np.uint8)
    found = augment(imgs, {"type": "SaltAndPepper", "probability": probability}, seed=seed)
    assert set(np.unique(found)) <= {0, 100, 255}
    assert (found == found[..., :1]).all()  # all channels of a pixel
    for value in (0, 255):
        share, error = (found == value).mean(), np.sqrt(probability * (2 - probability) / 4 / 3600)
        assert abs(share - probability / 2) <= 6 * error + 1e-9


@given(st.floats(0.02, 0.33), st.floats(0.3, 3.3), seeds)
def test_cutout_covers_a_box_of_that_share_and_form(share, ratio, seed):
    height, width = 60, 80
    imgs = np.full((1, 1, height, width, 3), 250, dtype=np.uint8)
    step = {"type": "Cutout", "probability": 1.0, "scale": (share, share), "ratio": (ratio, ratio)}
    covered = (augment(imgs, step, seed=seed)[0, 0] == CLIP_MEAN).all(axis=-1)
    box_height, box_width = np.sqrt(share * height * width / ratio), np.sqrt(share * height * width * ratio)
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    if round(box_height) > height or round(box_width) > width:
        assert not covered.any()  # no such box fits
    else:
        assert (len(rows), len(columns)) == (round(box_height), round(box_width))
        assert covered[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert covered.sum() == len(rows) * len(columns)


def test_forms_are_drawn_evenly_in_the_logarithm():
    boxes = [random_box(1000, 1000, (0.05, 0.05), (1 / 9, 9), rng=random.Random(seed)) for seed in range(400)]
    forms = [np.log((right - left) / (bottom - top)) for left, top, right, bottom in boxes]
    assert abs(np.median(forms)) < 0.3  # as often wide as tall
    assert abs(np.mean(np.abs(forms) < np.log(3)) - 0.5) < 0.1


def test_a_covered_box_is_about_0_for_clip():
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    normalised = FramePreprocess({"size": 1, "mean": mean, "std": std}).normalise(
        torch.tensor(CLIP_MEAN, dtype=torch.uint8).view(1, 3, 1, 1)
    )
    assert normalised.abs().max() <= 0.5 / 255 / min(std)


@given(seeds)
def test_a_sample_follows_from_its_seed(video, seed):
    steps = [
        {"type": "LoadClips", "frames": 2, "views": 2, "size": 16},
        {"type": "SpatialViews", "size": 16, "views": 3},
        {"type": "Augment", "steps": list(STEPS.values())},
        {"type": "CollectClip"},
    ]
    pipeline = Compose(steps)
    pipeline(describe(video, seed + 1))  # what was drawn before does not count
    one, two = pipeline(describe(video, seed)), Compose(steps)(describe(video, seed))
    assert torch.equal(one["inputs"], two["inputs"])


# settings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"type": "LoadClips", "frames": 0}, "LoadClips frames 0 must be a whole number of at least 1"),
        ({"type": "LoadClips", "frames": 8, "views": 0}, "LoadClips views 0"),
        ({"type": "LoadClips", "frames": 8, "size": 2.5}, "LoadClips size 2.5"),
        ({"type": "LoadClips", "frames": 8, "interpolation": "bicubik"}, "did you mean 'bicubic'.*bilinear"),
        ({"type": "SpatialViews", "views": 2}, "SpatialViews views 2 is not a choice.*1.*3"),
        ({"type": "Flip", "flip_ratio": 1.5}, "flip_ratio 1.5 is not a probability"),
        ({"type": "GaussianBlur", "probability": -1}, "GaussianBlur probability -1"),
        ({"type": "GaussianBlur", "kernel": 4}, "kernel 4 is not an odd number"),
        ({"type": "GaussianBlur", "sigma": (0, 2)}, r"sigma \(0, 2\) must be 0 < low <= high"),
        ({"type": "SaltAndPepper", "probability": "much"}, "SaltAndPepper probability 'much'"),
        ({"type": "Cutout", "scale": (0.3, 0.1)}, r"Cutout scale \(0.3, 0.1\)"),
        ({"type": "Cutout", "ratio": (1,)}, r"Cutout ratio \(1,\)"),
        ({"type": "Augment", "steps": [{"type": "Flip", "ratio": 1}]}, "Flip has no argument 'ratio'"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(arguments)


def test_unknown_readers_are_named():
    with pytest.raises(KeyError, match="did you mean 'pyav'"):
        build("LoadClips", frames=2, reader="pyaw")


def test_views_need_frames_that_are_large_enough_and_clips_need_views():
    with pytest.raises(ValueError, match="size 9 is larger than the 12 x 8 frame of video 'film'"):
        crop(noise(2, 8, 12, 3), (1, 2), size=9)
    with pytest.raises(ValueError, match="SpatialViews makes the views"):
        build("CollectClip")({"imgs": noise(2, 8, 8, 3), "label": 0, "video": "film"})


# real clips


@pytest.mark.parametrize("pattern", ["ucf101/v_*.avi", "hmdb51/*wave*.avi", "kinetics/ta_chi.mp4"])
def test_a_real_clip(pattern):
    found = sorted((SHARED / "data" / "videos").glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} below {SHARED}; set OPENTAD_SHARED to the folder above data/")
    with open_video(found[0]) as reader:
        length = len(reader)
        frames = reader.frames([0, length - 1])
    results = load(found[0], frames=8, views=4)
    imgs = results["imgs"]
    short, long = sorted(frames.shape[1:3])
    assert (len(imgs), *sorted(imgs.shape[1:3])) == (32, 224, int(224 * long / short))
    for own, given_ in ((imgs[0], frames[0]), (imgs[-1], frames[-1])):
        image = torch.from_numpy(given_).permute(2, 0, 1)
        wanted = F.resize(image, 224, INTERPOLATIONS["bicubic"], antialias=True).permute(1, 2, 0)
        assert np.array_equal(own, wanted.numpy())
    assert crop(imgs, results["clips"], views=3).shape == (12, 8, 224, 224, 3)
