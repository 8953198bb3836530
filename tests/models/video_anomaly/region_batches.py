"""Models and batches small enough for tests: B videos of T frames of 32 px, K regions."""

import torch

from opentad_bi.registry import MODELS

CLASSES = ["Normal", "Fire", "Road Accident"]
CAPTIONS = ["a quiet street", "a fire grows", "two cars crash", "people walk by", "smoke in a shop", "a car turns over"]
REGION_CAPTIONS = ["orange flames", "a blue car", "a white van", "grey smoke", "a man runs"]


def build(path, seed=0, **options):
    """A tiny FGCLIP whose weights are those of that seed; its first layer is loud, so that frames differ."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MODELS.build({"type": "FGCLIP", "clip": {"model": str(path)}, "classes": CLASSES, **options})
    with torch.no_grad():
        model.vision.tower.encoder.visual.conv1.weight.mul_(3)
    return model


def some_boxes(*shape, generator=None):
    """Boxes (..., 4) in 0..1 that are not empty."""
    low, size = torch.rand(*shape, 2, generator=generator), torch.rand(*shape, 2, generator=generator)
    low = 0.7 * low
    return torch.cat([low, low + 0.05 + size * (0.95 - low)], dim=-1)


def make_batch(videos=4, frames=3, owners=(0, 2, 2, 3), seed=0):
    """A batch of which no two captions say the same."""
    g = torch.Generator().manual_seed(seed)
    count = len(owners)
    mask = torch.rand(count, frames, generator=g) < 0.6
    mask[:, 0] = True
    return {
        "inputs": torch.randint(0, 256, (videos, frames, 3, 32, 32), dtype=torch.uint8, generator=g),
        "valid": torch.ones(videos, frames, dtype=torch.bool),
        "captions": CAPTIONS[:videos],
        "boxes": some_boxes(count, frames, generator=g),
        "box_mask": mask,
        "region_video": torch.tensor(owners, dtype=torch.int64),
        "region_captions": REGION_CAPTIONS[:count],
        "region_negatives": [("blue flames", "a cold fire"), (), ("a red van", "a dog", "a bus"), ("black smoke",)][
            :count
        ],
        "labels": torch.arange(videos) % len(CLASSES),
        "abnormal": torch.arange(videos) % len(CLASSES) > 0,
    }
