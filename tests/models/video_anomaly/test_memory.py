"""The memory of a step is told by the shapes of the towers as it is measured."""

import json
from types import SimpleNamespace as Shape

import pytest
import torch
from region_batches import build, make_batch

from opentad_bi.models.video_anomaly.encoders import training_bytes

MIB = 2**20


def vit_b_32(recompute, parameters=151_300_000):
    """What `training_bytes` looks at, of ViT-B/32."""
    visual = Shape(transformer=Shape(resblocks=range(12), width=768))
    tower = Shape(encoder=Shape(visual=visual), grid=(7, 7), checkpoint=recompute == "block")
    vision = Shape(tower=tower, frame_chunk=None, recompute=recompute == "video", prepare=Shape(size=(224, 224)))
    text = Shape(short=77, width=512, transformer=Shape(resblocks=range(12)), checkpoint=recompute is not None)
    return Shape(vision=vision, text=text, hard_weight=0.0, parameters=lambda: [torch.empty(parameters, device="meta")])


@pytest.mark.parametrize(("recompute", "half", "frame", "transient", "caption"), [
    (None, False, 29.2, 0, 29.1), (None, True, 14.6, 0, 16.4),
    ("block", False, 2.77, 2.4, 1.96), ("block", True, 1.39, 1.2, 1.96),
])  # fmt: skip
def test_vit_b_32_as_it_was_measured_once(recompute, half, frame, transient, caption):
    sizes = training_bytes(vit_b_32(recompute), 2, 256, half)
    assert sizes["frames"] / MIB == pytest.approx(512 * frame + 256 * transient, rel=0.03)
    assert sizes["texts"] / MIB == pytest.approx(10 * caption, rel=0.03)
    model = vit_b_32(recompute)
    model.hard_weight = 0.5  # ten wrong texts for each of four regions more
    assert training_bytes(model, 2, 256, half)["texts"] / MIB == pytest.approx(90 * caption, rel=0.03)
    assert sizes["weights"] / 2**30 == pytest.approx(2.3 + (0.3 if half else 0), abs=0.1)


def test_a_video_is_kept_at_a_time_however_many_there_are():
    few, many = (training_bytes(vit_b_32("video"), videos, 256, True)["frames"] for videos in (2, 16))
    assert few == many == training_bytes(vit_b_32(None), 1, 256, True)["frames"]


def test_a_tower_of_another_shape_is_as_it_is_measured(tmp_path):
    shape = {"embed_dim": 64, "vision_cfg": {"image_size": 32, "layers": 4, "width": 192, "patch_size": 4},
             "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}}  # fmt: skip
    (tmp_path / "tower.json").write_text(json.dumps(shape))
    model, batch = build(tmp_path / "tower.json"), make_batch(videos=2, frames=2, owners=(), seed=0)
    kept, weights = {}, {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor):
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            alive.append(tensor)
        return tensor

    alive = []  # so that no storage is given to another tensor
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.vision(*(batch[key] for key in ("inputs", "valid", "boxes", "box_mask", "region_video")))
    assert training_bytes(model, 2, 2, False)["frames"] == pytest.approx(sum(kept.values()), rel=0.1)
