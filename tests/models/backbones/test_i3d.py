"""I3D: shapes, padding, weights, and real videos where they are at hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from close import close
from places import SHARED

from opentad_bi.engine.warm_start import load_weights
from opentad_bi.models.backbones.i3d import I3D, pad_same
from opentad_bi.models.backbones.video_backbone import VideoBackbone
from opentad_bi.utils.weight_files import read_file

VIDEOS = {"kinetics/clean_and_jerk.mp4": "clean and jerk", "activitynet/v_ZNVhz7ctTq0.mp4": "walking the dog"}


@pytest.mark.parametrize(("frames", "side"), [(16, 64), (9, 33)])
def test_one_step_per_eight_frames_and_32_pixels(frames, side):
    x = torch.zeros(1, 3, frames, side, side)
    with torch.no_grad():
        assert I3D().eval()(x).shape == (1, 1024, -(-frames // 8), -(-side // 32), -(-side // 32))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before", "after"),
    [(224, 7, 2, 2, 3), (225, 7, 2, 3, 3), (7, 3, 1, 1, 1), (5, 2, 2, 0, 1), (4, 2, 2, 0, 0)],
)
def test_padding_gives_every_stride_a_window(size, kernel, stride, before, after):
    padded = pad_same(torch.ones(1, 1, 1, 1, size), (1, 1, kernel), (1, 1, stride))[0, 0, 0, 0]
    assert padded.tolist() == [0] * before + [1] * size + [0] * after


def test_window_becomes_a_sequence():
    backbone = VideoBackbone(
        backbone={"type": "I3D"}, mean=(127.5,) * 3, std=(127.5,) * 3, clip_frames=None, output_length=8
    ).eval()
    frames = torch.randint(0, 256, (2, 3, 24, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        three = backbone.model["backbone"](frames / 127.5 - 1).mean((3, 4))
        expected = F.interpolate(three, size=8, mode="linear")
        close(backbone(frames), expected, ulps=8192)
    assert three.shape == (2, 1024, 3)


def test_classifier_is_asked_for_by_name():
    with pytest.raises(ValueError, match="num_classes"):
        I3D().classify(torch.zeros(1, 3, 8, 32, 32))


def write_arrays(path, model):
    """The array file that would give `model`: its entries under the published names and axes."""
    arrays = {
        "params/Logits/Conv3d_0c_1x1/Conv_0/kernel": model.logits.weight.t()[None, None, None],
        "params/Logits/Conv3d_0c_1x1/Conv_0/bias": model.logits.bias,
    }
    for name, module in model.layers.named_modules():
        unit = name.rpartition(".")[0].replace(".", "/")
        if isinstance(module, torch.nn.Conv3d):
            arrays[f"params/{unit}/Conv_0/kernel"] = module.weight.permute(2, 3, 4, 1, 0)
        if isinstance(module, torch.nn.BatchNorm3d):
            arrays[f"params/{unit}/BatchNorm_0/bias"] = module.bias
            arrays[f"batch_stats/{unit}/BatchNorm_0/mean"] = module.running_mean.view(1, 1, 1, 1, -1)
            arrays[f"batch_stats/{unit}/BatchNorm_0/var"] = module.running_var.view(1, 1, 1, 1, -1)
    np.savez(path, **{key: value.detach().numpy() for key, value in arrays.items()})


def state_of(path, model):
    return model.adapt_state_dict(read_file(path)[0])


def test_array_file_loads_strictly(tmp_path):
    torch.manual_seed(0)
    source, target = I3D(num_classes=5), I3D(num_classes=5)
    for module in source.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.running_mean)
            torch.nn.init.uniform_(module.running_var)
            torch.nn.init.uniform_(module.bias)
    write_arrays(tmp_path / "i3d.npz", source)
    target.load_state_dict(state_of(tmp_path / "i3d.npz", target))
    assert all(
        torch.equal(a, b) for a, b in zip(source.state_dict().values(), target.state_dict().values(), strict=True)
    )
    backbone = VideoBackbone(backbone={"type": "I3D"}, clip_frames=None)
    state, *_ = read_file(tmp_path / "i3d.npz")
    assert load_weights(backbone, state, what="i3d.npz", unexpected=["logits.*"]) == len(backbone.state_dict())
    for name, value in backbone.model["backbone"].state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", **{"params/unit/Dense/weight": np.zeros(3)})
    with pytest.raises(KeyError, match="weight"):
        state_of(tmp_path / "other.npz", I3D())


def read_frames(path, count, step=2, side=224):
    """Every `step`-th of the first frames, short side 224, centre crop.  -> (1, 3, count, 224, 224) uint8"""
    av, cv2 = pytest.importorskip("av"), pytest.importorskip("cv2")
    frames = []
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i % step == 0:
                image = frame.to_ndarray(format="rgb24")
                scale = side / min(image.shape[:2])
                image = cv2.resize(image, None, fx=scale, fy=scale)
                top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
                frames.append(image[top : top + side, left : left + side])
            if len(frames) == count:
                break
    return torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)[None]


@pytest.mark.parametrize("video", VIDEOS)
def test_published_weights_recognise_real_videos(video):
    weights = SHARED / "data/weights/i3d_rgb_kinetics400_fp16.npz"
    names = SHARED / "data/annotations/kinetics400/label_map_k400.txt"
    path = SHARED / "data/videos" / video
    if not all(file.is_file() for file in (weights, names, path)):
        pytest.skip(f"no weights and videos below {SHARED}; set OPENTAD_SHARED to their folder")
    model = I3D(num_classes=400).eval()
    model.load_state_dict(state_of(weights, model))
    with torch.no_grad():
        scores = model.classify(read_frames(path, 32) / 127.5 - 1).softmax(-1)[0]
    assert names.read_text().split("\n")[int(scores.argmax())] == VIDEOS[video]
    assert scores.max() > 0.9
