"""Transforms of pixels: sizes, definitions, the same for all frames, draws from the sample's own generator."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.datasets.detection.pipeline import to_planes
from opentad_bi.datasets.transforms.color import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from opentad_bi.datasets.transforms.img_aug import OPERATIONS, autocontrast, cutout, invert, posterize, solarize
from opentad_bi.registry import TRANSFORMS


def clip(frames=3, height=24, width=36, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def run(kind, imgs, seed=0, **arguments):
    step = TRANSFORMS.build({"type": kind, **arguments})
    return step({"imgs": imgs, "rng": random.Random(seed), "video": "v"})["imgs"]


@pytest.mark.parametrize(
    ("scale", "keep_ratio", "size"),
    [((-1, 18), True, (18, 27)), ((30, 30), True, (20, 30)), ((15, 11), False, (11, 15)), ((-1, 24), True, (24, 36))],
)
def test_resize_sizes(scale, keep_ratio, size):
    assert run("Resize", clip(), scale=scale, keep_ratio=keep_ratio).shape == (3, *size, 3)


def test_resize_is_that_of_mmcv():
    mmcv = pytest.importorskip("mmcv")
    imgs = clip(height=50, width=70)[:, 3:40, 5:61]
    found = run("Resize", imgs, scale=(32, 32), keep_ratio=False)
    expected = np.stack([mmcv.imresize(np.ascontiguousarray(image), (32, 32)) for image in imgs])
    assert np.array_equal(found, expected)


def test_center_crop():
    imgs = clip(height=11, width=14)
    assert np.array_equal(run("CenterCrop", imgs, crop_size=8), imgs[:, 1:9, 3:11])
    with pytest.raises(ValueError, match="larger than the frame"):
        run("CenterCrop", imgs, crop_size=12)


@given(height=st.integers(4, 300), width=st.integers(4, 300), seed=st.integers(0, 10_000))
def test_random_crop_lies_in_the_frame(height, width, seed):
    crop = TRANSFORMS.build({"type": "RandomResizedCrop"})
    left, top, right, bottom = crop.box(height, width, random.Random(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_random_crop_keeps_area_and_aspect():
    crop = TRANSFORMS.build({"type": "RandomResizedCrop"})
    boxes = np.asarray([crop.box(180, 240, random.Random(seed)) for seed in range(500)])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    share = width * height / (180 * 240)
    assert 0.07 < share.min() < 0.15
    assert 0.8 < share.max() <= 1.0
    assert (width / height).min() > 0.7
    assert (width / height).max() < 1.4


def test_flip():
    imgs = clip()
    assert np.array_equal(run("Flip", imgs, flip_ratio=1.0), imgs[:, :, ::-1])
    assert run("Flip", imgs, flip_ratio=0.0) is imgs


@pytest.mark.parametrize("kind", ["RandomResizedCrop", "Flip", "ImgAug", "ColorJitter"])
def test_same_seed_same_result_and_no_global_state(kind):
    imgs = clip(width=50)
    state = random.getstate()
    results = [run(kind, imgs.copy(), seed=seed) for seed in (1, 1, 2, 3, 4, 5)]
    assert random.getstate() == state
    assert np.array_equal(results[0], results[1])
    assert any(not np.array_equal(results[0], other) for other in results[2:])


@pytest.mark.parametrize("kind", ["RandomResizedCrop", "Flip", "ImgAug", "ColorJitter"])
def test_all_frames_are_treated_alike(kind):
    imgs = np.repeat(clip(frames=1), 3, axis=0)
    for seed in range(12):
        out = run(kind, imgs.copy(), seed=seed)
        assert (out == out[:1]).all()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_operations_keep_shape_and_input(operation):
    imgs = clip()
    before = imgs.copy()
    out = operation(imgs, random.Random(0))
    assert out.shape == imgs.shape
    assert out.dtype == np.uint8
    assert np.array_equal(imgs, before)
    assert not np.array_equal(out, imgs) or operation is autocontrast


def test_point_operations():
    imgs, rng = clip(), random.Random(0)
    assert np.array_equal(invert(imgs, rng), 255 - imgs)
    assert np.array_equal(posterize(imgs, rng), imgs // 32 * 32)
    assert np.array_equal(solarize(imgs, rng), np.where(imgs > 230, 255 - imgs, imgs))
    stretched = autocontrast(imgs // 2 + 40, rng)
    assert stretched.min() == 0
    assert stretched.max() == 255


def test_affine_operations_move_about_the_centre():
    imgs = np.zeros((1, 21, 21, 3), dtype=np.uint8)
    imgs[0, 10, 10] = 255
    for operation in OPERATIONS[:5]:
        found = np.unravel_index(operation(imgs, random.Random(0))[0, :, :, 0].argmax(), (21, 21))
        moved = abs(found[0] - 10) + abs(found[1] - 10)
        assert moved == (4 if operation.__name__.startswith("translate") else 0)


def test_signs_are_drawn_per_sample():
    imgs = clip()
    for operation in OPERATIONS[:5]:
        variants = {operation(imgs, random.Random(seed)).tobytes() for seed in range(8)}
        assert len(variants) == 2


def test_cutout_is_one_gray_square():
    imgs = np.zeros((2, 100, 100, 3), dtype=np.uint8)
    out = cutout(imgs, random.Random(3))
    assert set(np.unique(out)) <= {0, 128}
    assert 0 < (out[0, :, :, 0] == 128).sum() <= 19 * 19


def test_color_definitions():
    imgs = clip(seed=3)
    values = imgs.astype(np.float64)
    luma = values @ [0.2989, 0.587, 0.114]

    def close(found, expected, within):
        assert np.abs(found.astype(np.float64) - np.clip(expected, 0, 255)).max() <= within

    close(adjust_brightness(imgs, 1.3), values * 1.3, 0.5 + 1e-9)
    mean = luma.mean(axis=(1, 2))[:, None, None, None]
    close(adjust_contrast(imgs, 0.6), mean + 0.6 * (values - mean), 0.5 + 1e-3)
    gray = luma[..., None]
    close(adjust_saturation(imgs, 1.4), gray + 1.4 * (values - gray), 1.0)
    assert np.array_equal(adjust_hue(imgs, 90), adjust_hue(imgs, -90))
    red = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    red[..., 0] = 255
    assert adjust_hue(red, 60)[0, 0, 0].tolist() == [0, 255, 0]


def test_to_planes():
    imgs = clip()[:, 2:20, 1:30]
    planes = to_planes(imgs)
    assert planes.flags["C_CONTIGUOUS"]
    assert np.array_equal(planes, imgs.transpose(3, 0, 1, 2))


@pytest.mark.parametrize(
    "step",
    [
        {"type": "Resize", "scale": (0, 0)},
        {"type": "Flip", "flip_ratio": 2},
        {"type": "RandomResizedCrop", "area_range": (0, 1)},
        {"type": "ImgAug", "transforms": "strong"},
        {"type": "ColorJitter", "hue": 0.7},
        {"type": "Collect", "inputs": "images"},
        {"type": "Collect", "keys": ["mask"]},
        {"type": "LoadFrames", "method": "random"},
        {"type": "LoadFrames", "method": "sliding_window", "trunc_len": 5},
        {"type": "LoadFeats", "feat_format": "mat"},
    ],
    ids=str,
)
def test_bad_arguments(step):
    with pytest.raises(ValueError):
        TRANSFORMS.build(step)
