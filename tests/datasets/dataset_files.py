"""Drawn frames, encoded videos, annotation entries and pipelines at toy size."""

import av
import numpy as np

WIDTH, HEIGHT, FPS = 96, 64, 25
FRAMES = {"long": 230, "middle": 131, "short": 50}
LABELS = ("Dive", "Jump", "Throw")


def draw(number):
    """A frame that differs from its neighbours everywhere and has detail."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    red = (x * 2 + number * 3) % 256
    green = (y * 3 + number) % 256
    blue = np.where((x - number) % 32 < 16, 200, 40) + 0 * y
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def encode(path, frames, *, lossless, container_options=None, size=(WIDTH, HEIGHT)):
    """Write RGB frames as H.264 with B-frames and keyframes every 40."""
    options = {"qp": "0", "preset": "ultrafast"} if lossless else {"crf": "18", "g": "40", "bf": "3"}
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv444p" if lossless else "yuv420p"
        stream.options = options
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def entry(name, *annotations, subset="training"):
    """A database entry; annotations are (start_sec, end_sec, label)."""
    return {
        "subset": subset,
        "duration": FRAMES[name] / FPS,
        "frame": FRAMES[name],
        "annotations": [{"segment": [start, end], "label": label} for start, end, label in annotations],
    }


def frame_pipeline(trunc_len=16, **load):
    """Training pipeline of frames, at toy size."""
    return [
        {"type": "LoadFrames", "method": "random_trunc", "trunc_len": trunc_len, "trunc_thresh": 0.5, **load},
        {"type": "DecodeFrames"},
        {"type": "Resize", "scale": (-1, 40)},
        {"type": "RandomResizedCrop", "area_range": (0.5, 1.0)},
        {"type": "Resize", "scale": (32, 32), "keep_ratio": False},
        {"type": "Flip"},
        {"type": "ImgAug", "transforms": "default"},
        {"type": "ColorJitter"},
        {"type": "Collect", "inputs": "imgs", "keys": ["masks", "gt_segments", "gt_labels"]},
    ]


def feature_pipeline(trunc_len=32):
    """Training pipeline of features."""
    return [
        {"type": "LoadFeats", "feat_format": "npy"},
        {"type": "RandomTrunc", "trunc_len": trunc_len, "trunc_thresh": 0.5, "crop_ratio": [0.9, 1.0]},
        {"type": "Collect", "inputs": "feats"},
    ]
