"""Small videos, and configs of small detectors on them with random weights."""

from fractions import Fraction

import av
import numpy as np
import torch
from places import ROOT

from opentad_bi.config import load_config
from opentad_bi.registry import MODELS

BASES = ROOT / "configs" / "_base_"
FPS, WIDTH, HEIGHT, CLASSES = 25, 64, 48, ["Dive", "Jump"]

CONFIG = f"""
_base_ = ["{BASES}/datasets/thumos14_e2e.py", "{BASES}/models/small.py", "{BASES}/schedules/small.py"]
data_root = "nowhere"
work_dir = "nowhere"
num_classes, in_channels, window_size, feature_stride, image_size = 2, 8, 32, 2, 32
dataset = dict(test=dict(window_overlap_ratio=0.25))
solver = dict(test=dict(batch_size=2, num_workers=0))
detector = dict(projection=dict(out_channels=16), neck=dict(in_channels=16, out_channels=16),
                rpn_head=dict(in_channels=16, feat_channels=16))
"""
PAIR = """
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
"""
WRAP = """
dataset["wrap"] = dict(type="PairedDataset", source="device")
"""


def write_video(path, count, *, seed=0, rate=FPS, size=(WIDTH, HEIGHT), times=None):
    """`count` frames of moving noise as H.264 with B-frames and keyframes every 20; returns `path`.

    Frames are shown at `times` / rate seconds; default one after the other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        stream.options = {"g": "20", "bf": "2", "preset": "ultrafast"}
        stream.codec_context.time_base = Fraction(1, rate)
        for number in range(count):
            image = rng.integers(0, 120, (size[1], size[0], 3), dtype=np.uint8)
            image[:, (3 * number) % size[0] :][:, :9] += 130
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number if times is None else times[number], Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_config(folder, *more):
    """Write CONFIG and what follows it; returns the path."""
    path = folder / "config.py"
    path.write_text(CONFIG + "".join(more))
    return path


def write_weights(config, path, *, classes=CLASSES, seed=0, **extra):
    """Random weights, large enough that everything matters, as a checkpoint; returns the path."""
    torch.manual_seed(seed)
    model = MODELS.build(load_config(config).model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    state = {"state_dict_ema": model.state_dict(), **({"classes": classes} if classes else {}), **extra}
    torch.save(state, path)
    return path
