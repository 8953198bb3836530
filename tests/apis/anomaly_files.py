"""Small videos, and a tiny CLIP model with random weights that scores frames."""

import torch
from detect_files import write_video

from opentad_bi.config import load_config
from opentad_bi.registry import MODELS

CLASSES = ["Normal", "Fire", "Road Accident"]
CONFIG = """
dataset = dict(test=dict(type="FrameStreamDataset", videos="nowhere", classes={classes}, stride=8, chunk=4, size=32))
model = dict(type="FGCLIP", clip=dict(model={clip!r}), classes={classes})
branches = dict(vision=dict(optimizer=dict(type="AdamW", lr=1e-5)), text=dict(optimizer=dict(type="AdamW", lr=1e-5)))
solver = dict(train=dict(batch_size=2, num_workers=0), test=dict(batch_size=3, num_workers=0))
workflow = dict(end_epoch=1)
evaluation = dict(type="FrameAnomaly", classes={classes}, normal_class="Normal", annotation="nowhere.txt",
                  frames_per_row=8, fps=25)
work_dir = "nowhere"
"""


def write_anomaly_config(folder, clip, *more):
    """Write CONFIG for the CLIP configuration `clip` and what follows it; returns the path."""
    path = folder / "anomaly.py"
    path.write_text(CONFIG.format(clip=str(clip), classes=CLASSES) + "\n".join(more))
    return path


def write_anomaly_weights(config, path, seed=0):
    """Random weights under which frames differ, as a checkpoint; returns the path."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MODELS.build(load_config(config).model)
    with torch.no_grad():
        model.vision.tower.encoder.visual.conv1.weight.mul_(3)
        model.vision.logit_scale.fill_(4)
    torch.save({"state_dict_ema": model.state_dict()}, path)
    return path


def write_videos(folder):
    """{name: file} of 150, 64, 21 and 1 frames: several batches, whole runs, part of one, one row."""
    counts = {"long": 150, "exact": 64, "short": 21, "single": 1}
    return {name: write_video(folder / f"{name}.mp4", count, seed=count) for name, count in counts.items()}
