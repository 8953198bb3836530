"""How well the heat-maps of a video find what was annotated in it.

N pairs of a frame and a box in it, h x w grid of patches
"""

import numpy as np
import torch

from ..datasets.video_anomaly.regions import Lifespan
from ..datasets.video_anomaly.stream import read_squares, stream_settings
from ..evaluation.anomaly.localization import enlarge, localisation, unit_range
from ..utils.validation import check_finite

AT_ONCE = 64  # frames


def localise(model, found, regions, *, name=None, enabled_mode="label_studio", open_end="video"):
    """Compare the heat-maps of the frames that were looked at with the boxes that are in them.

    Args:
        model: what `init_anomaly_detector` gives.
        found: VideoAnomalies of that model.
        regions: `Region`s of the video with keyframes (`datasets.caption_files.read_captions`).
        name: class whose heat-maps are taken; default `found.label`.
        enabled_mode, open_end: see `Lifespan`.
    Returns:
        numbers of `evaluation.localisation.localisation`; of all frames with a box together, 0 and 1 of a heat-map are
        the lowest and the highest value in them.
    """
    numbers = np.arange(len(found.scores)) * found.stride
    frames, boxes = [], []
    for region in regions:
        if not region.keyframes:
            continue
        life = Lifespan(region, enabled_mode=enabled_mode, open_end=open_end)
        seen = numbers[life.visible(numbers)]
        frames, boxes = [*frames, *seen], [*boxes, *life.box(seen)]
    if not frames:
        return localisation([], [])
    unique, place = np.unique(frames, return_inverse=True)
    maps = unit_range(_maps(model, found, unique, name or found.label))
    size = stream_settings(model.frames)["size"]
    return localisation((enlarge(maps[i : i + 1], size, size)[0] for i in place), boxes)


@torch.no_grad()
def _maps(model, found, frames, name):
    """Heat-maps of rising frame numbers: float32 (N, h, w)"""
    maps = []
    for start in range(0, len(frames), AT_ONCE):
        squares = read_squares(model.frames, found.video, frames[start : start + AT_ONCE]).to(model.device)
        with model.autocast():
            part = model.model.heat_map(squares, name).float()
            check_finite([("heat-maps", part, None)], [found.video] * len(part), model.model)
            maps.append(part.cpu().numpy())
    return np.concatenate(maps)
