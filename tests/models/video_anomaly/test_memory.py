"""The memory of a step is estimated by the shapes of the towers as it is measured."""

import json
from functools import partial
from types import SimpleNamespace as Shape

import pytest
import torch
from region_batches import build, make_batch

from opentad_bi.models.video_anomaly.encoders import CaptionEncoder, VideoEncoder
from opentad_bi.models.video_anomaly.fg_clip import FGCLIP

MIB = 2**20


def vit_b_32(recompute, parameters=151_300_000):
    """What `training_bytes` needs of ViT-B/32."""
    visual = Shape(transformer=Shape(resblocks=range(12)))
    tower = Shape(encoder=Shape(visual=visual), grid=(7, 7), width=768, checkpoint=recompute == "block")
    vision = Shape(tower=tower, frame_chunk=None, recompute=recompute == "video", prepare=Shape(size=(224, 224)))
    text = Shape(short=77, width=512, transformer=Shape(resblocks=range(12)), checkpoint=recompute is not None)
    vision.training_bytes = partial(VideoEncoder.training_bytes, vision)
    text.training_bytes = partial(CaptionEncoder.training_bytes, text)
    weights = [torch.empty(parameters, device="meta")]
    return Shape(vision=vision, text=text, objective=Shape(hard_weight=0.0), parameters=lambda: weights)


@pytest.mark.parametrize(("recompute", "half", "frame", "transient", "caption"), [
    (None, False, 29.2, 0, 29.1), (None, True, 14.6, 0, 16.4),
    ("block", False, 2.77, 2.4, 1.96), ("block", True, 1.39, 1.2, 1.96),
])  # fmt: skip
def test_vit_b_32_as_it_was_measured_once(recompute, half, frame, transient, caption):
    sizes = FGCLIP.training_bytes(vit_b_32(recompute), 2, 256, half)
    assert sizes["frames"] / MIB == pytest.approx(512 * frame + 256 * transient, rel=0.03)
    assert sizes["texts"] / MIB == pytest.approx(10 * caption, rel=0.03)
    model = vit_b_32(recompute)
    model.objective.hard_weight = 0.5  # ten wrong texts for each of four regions more
    assert FGCLIP.training_bytes(model, 2, 256, half)["texts"] / MIB == pytest.approx(90 * caption, rel=0.03)
    assert sizes["weights"] / 2**30 == pytest.approx(2.3 + (0.3 if half else 0), abs=0.1)


def test_a_video_is_kept_at_a_time_however_many_there_are():
    few, many = (vit_b_32("video").vision.training_bytes(videos, 256, True) for videos in (2, 16))
    assert few == many == vit_b_32(None).vision.training_bytes(1, 256, True)


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
    assert model.training_bytes(2, 2, False)["frames"] == pytest.approx(sum(kept.values()), rel=0.1)
