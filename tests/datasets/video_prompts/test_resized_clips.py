"""Frames of clips as the tower was trained on them: compared with open_clip's own transform of pictures."""

from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from places import SHARED

from opentad_bi.datasets.readers.base import open_video
from opentad_bi.datasets.video_prompts.pipeline import LoadClips, SpatialViews
from opentad_bi.models.clip.preprocess import FramePreprocess


@given(
    st.integers(8, 40),
    st.integers(8, 40),
    st.integers(4, 12),
    st.sampled_from(["squash", "longest"]),
    st.integers(0, 999),
)
def test_other_ways_to_resize_are_those_of_the_tower(height, width, size, mode, seed):
    imgs = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    found = LoadClips(2, size=size, resize_mode=mode).resize(imgs)
    cfg = {"size": size, "resize_mode": mode, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    wanted = FramePreprocess(cfg).resize(torch.from_numpy(imgs)).permute(0, 2, 3, 1)
    assert found.shape == (2, size, size, 3) and np.array_equal(found, wanted.numpy())


@pytest.mark.parametrize(("mode", "interpolation"), [("shortest", "bicubic"), ("shortest", "bilinear"),
                                                     ("squash", "bicubic"), ("longest", "bicubic")])  # fmt: skip
@pytest.mark.parametrize("shape", [(120, 213), (180, 101)])
def test_frames_are_those_of_the_transform_of_open_clip(tmp_path, mode, interpolation, shape):
    compare_with_open_clip(scene(shape), mode, interpolation, size=56)


def scene(shape):
    """Three smooth frames with edges: uint8 (3, H, W, 3)."""
    down, across = np.mgrid[0 : shape[0], 0 : shape[1]] / 9
    waves = np.stack([np.sin(down + k) + np.cos(across * (k + 1)) + 2 * (across > 6) for k in range(3)])
    return (np.stack([waves, waves[::-1], -waves], axis=-1) * 30 + 110).astype(np.uint8)


def compare_with_open_clip(imgs, mode, interpolation, size):
    """The grey levels that reach the tower, against Pillow's: at most two apart, and 0.1 in the mean."""
    # mean 0 and std 1 / 255: grey levels; open_clip resizes by squashing with bicubic alone
    cfg = PreprocessCfg(size=size, mean=(0, 0, 0), std=(1 / 255,) * 3, resize_mode=mode,
                                            interpolation=interpolation)  # fmt: skip
    transform, resize = image_transform_v2(cfg, is_train=False), Image.Image.resize

    def across_then_down(picture, size, resample=None, **options):
        """The order of Pillow up to version 12; from 13 on some upright pictures are resized down first."""
        return resize(resize(picture, (size[0], picture.height), resample), size, resample)

    with mock.patch.object(Image.Image, "resize", across_then_down):
        wanted = torch.stack([transform(Image.fromarray(frame)) for frame in imgs]).round()
    small = LoadClips(len(imgs), size=size, interpolation=interpolation, resize_mode=mode).resize(imgs)
    found = (
        torch.from_numpy(SpatialViews(size)({"imgs": small, "clips": (1, len(imgs)), "video": "v"})["imgs"][0])
        .permute(0, 3, 1, 2)
        .float()
    )
    apart = (found - wanted).abs()
    assert found.shape == wanted.shape and apart.max() <= 2 and apart.mean() < 0.1


def test_frames_of_real_videos_are_those_of_the_transform_of_open_clip():
    files = (
        sorted((SHARED / "data/videos/ucf101").glob("*.avi"))[:2]
        + sorted((SHARED / "data/videos/kinetics").glob("*.mp4"))[:2]
    )
    if not files:
        pytest.skip(f"no videos below {SHARED}; set OPENTAD_SHARED to the folder above data/")
    for file in files:
        with open_video(file) as reader:
            imgs = reader.frames(np.array([0, len(reader) // 2]))
        for mode in ("shortest", "squash"):
            compare_with_open_clip(imgs, mode, "bicubic", size=224)
