"""Lists of empty files, and steps of a pipeline that decode nothing."""

from pathlib import Path

import torch

from opentad_bi.datasets.video_prompts.lists import ListedVideo, VideoList
from opentad_bi.ops.records import UnitMeta
from opentad_bi.registry import TRANSFORMS

CLASSES = ("ApplyEyeMakeup", "Hammering", "HammerThrow")
GROUPS, CLIPS = 5, 4  # of every class and of every group


@TRANSFORMS.register_module(force=True)
class ToyClip:
    """A clip (2, T, 3, 6, 8) whose every value is 1 + the number of the file, or drawn; and what was drawn for it."""

    def __init__(self, frames=4, drawn=False):
        self.frames, self.drawn = frames, drawn

    def __call__(self, results):
        number = int(results["path"].stem.rpartition("_n")[2])
        value = results["rng"].randrange(256) if self.drawn else 1 + number
        return {
            "inputs": torch.full((2, self.frames, 3, 6, 8), value, dtype=torch.uint8),
            "label": results["label"],
            "meta": UnitMeta(results["video"], 0, 1),
            "drawn": results["rng"].random(),
        }


def toy_list(classes=CLASSES):
    """Every class with its groups of clips, named as in UCF101; the numbers of the files differ from 0 on."""
    places = [(label, g, c) for label in range(len(classes)) for g in range(GROUPS) for c in range(CLIPS)]
    return VideoList(
        classes,
        tuple(
            ListedVideo(Path(classes[label], f"v_{classes[label]}_g{g:02d}_c{c:02d}_n{number}.avi"), label)
            for number, (label, g, c) in enumerate(places)
        ),
    )


def group(path, class_name):
    """The group of a clip of `toy_list`."""
    return path.stem.split("_")[2]


def write_files(root, videos):
    """Make an empty file of every video."""
    for video in videos.videos:
        (root / video.path).parent.mkdir(parents=True, exist_ok=True)
        (root / video.path).touch()
    return root
