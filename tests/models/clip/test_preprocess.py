"""Preprocessing of frames: what open_clip's transform of PIL images gives, to two grey levels."""

from unittest import mock

import numpy as np
import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from places import SHARED

from opentad_bi.datasets.readers.base import open_video
from opentad_bi.models.clip.preprocess import INTERPOLATIONS, MODES, FramePreprocess

CLIPS = SHARED / "data" / "videos" / "surveillance" / "fight"
RESIZE = Image.Image.resize
CFG = {"mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28)}


def across_then_down(picture, size, resample=None, **options):
    """`Image.resize` in the order of Pillow up to version 12; from 13 on some pictures are resized down first."""
    width, height = size
    return RESIZE(RESIZE(picture, (width, picture.height), resample), (width, height), resample)


def levels(frames, cfg):
    """Largest difference from open_clip's transform, in grey levels of 0 to 255."""
    reference = image_transform_v2(PreprocessCfg(**cfg), is_train=False)
    with mock.patch.object(Image.Image, "resize", across_then_down):
        wanted = torch.stack([reference(Image.fromarray(frame)) for frame in frames])
    given_ = FramePreprocess(cfg)(torch.from_numpy(frames))
    assert given_.shape == wanted.shape and given_.dtype == torch.float32
    return ((given_ - wanted).abs() * torch.tensor(cfg["std"]).view(1, 3, 1, 1)).max().item() * 255


def scene(rng, height, width):
    """A picture with flat parts, edges and slow changes, as cameras give."""
    y, x = np.mgrid[:height, :width]
    image = 127 + 80 * np.sin(x[..., None] / rng.uniform(5, 60, 3)) * np.cos(y[..., None] / rng.uniform(5, 60, 3))
    top, left = rng.integers(0, height // 2 + 1), rng.integers(0, width // 2 + 1)
    image[top : top + height // 3 + 1, left : left + width // 3 + 1] = rng.integers(0, 256, 3)
    return np.clip(image, 0, 255).astype(np.uint8)


SIDES = st.integers(5, 150)


@given(
    st.integers(0, 99), SIDES, SIDES, st.sampled_from(MODES), st.sampled_from([*INTERPOLATIONS]),
    st.sampled_from([32, 33, (32, 32), (40, 24)]), st.sampled_from([0, 90]),
)  # fmt: skip
def test_it_is_the_transform_of_open_clip(seed, height, width, mode, interpolation, size, fill):
    rng = np.random.default_rng(seed)
    pictures = [scene(rng, height, width), rng.integers(0, 256, (height, width, 3), dtype=np.uint8)]
    if mode == "shortest" and size == (40, 24):
        interpolation = "bicubic"  # the only one that open_clip has here
    cfg = {**CFG, "size": size, "resize_mode": mode, "interpolation": interpolation, "fill_color": fill}
    assert levels(np.stack(pictures), cfg) <= 2.01


def test_a_frame_does_not_depend_on_its_batch():
    frames = np.random.default_rng(0).integers(0, 256, (4, 50, 70, 3), dtype=np.uint8)
    prepare = FramePreprocess({**CFG, "size": 32})
    together = prepare(torch.from_numpy(frames))
    close(torch.cat([prepare(torch.from_numpy(frames[i : i + 1])) for i in range(4)]), together, ulps=8)


@pytest.mark.parametrize("wrong", [{"resize_mode": "crop"}, {"interpolation": "nearest"}])
def test_unknown_ways_are_named(wrong):
    with pytest.raises(ValueError, match=r"choose one of shortest, longest, squash and one of bicubic, bilinear"):
        FramePreprocess({**CFG, "size": 32, **wrong})


@pytest.mark.parametrize("mode", MODES)
def test_frames_of_a_real_camera(mode):
    clips = sorted(CLIPS.iterdir())[:3] if CLIPS.is_dir() else []
    if not clips:
        pytest.skip(f"no clips below {SHARED}; set OPENTAD_SHARED to their folder")
    for clip in clips:
        with open_video(clip) as video:
            frames = video.frames([0, len(video) // 2])
        assert levels(frames, {**CFG, "size": 224, "resize_mode": mode}) <= 2.01
