"""Videos and regions: what they are means of, and that pieces and recomputation change neither them nor gradients."""

import pytest
import torch
from close import close
from region_batches import build, make_batch

from opentad_bi.contracts import losses_and_logged, total_loss
from opentad_bi.models.video_anomaly.encoders import VideoEncoder, box_weights

KEYS = ("inputs", "valid", "boxes", "box_mask", "region_video")
WAYS = [{"frame_chunk": 1}, {"frame_chunk": 2}, {"frame_chunk": 7}, {"recompute": "block"}, {"recompute": "video"}]
WAYS.append({"recompute": "video", "frame_chunk": 2})


def encode(encoder, batch):
    return encoder(*(batch[key] for key in KEYS))


@torch.no_grad()
@pytest.mark.parametrize("dense", ["value", "full"])
def test_what_the_features_are(tiny_json, dense):
    encoder, batch = build(tiny_json, dense=dense).vision, make_batch()
    batch["valid"][1, 1:] = False
    videos, regions = encode(encoder, batch)
    for b in range(4):
        features, patches = encoder.frames(batch["inputs"][b], cells=True)  # (T, E), (T, P, E)
        close(videos[b], features[batch["valid"][b]].mean(0), ulps=1024)
        for k in (batch["region_video"] == b).nonzero()[:, 0]:
            weights = box_weights(batch["boxes"][k], (2, 2))
            each = torch.einsum("tp,tpe->te", weights, patches)[batch["box_mask"][k]]
            close(regions[k], each.mean(0), ulps=1024)


@torch.no_grad()
def test_frames_that_fill_up_are_not_seen(tiny_json):
    encoder, batch = build(tiny_json, global_feature={"type": "TransformerPooling", "frames": 3}).vision, make_batch()
    torch.nn.init.normal_(encoder.pooling.out.weight)
    batch["valid"][:, 2] = batch["box_mask"][:, 2] = False
    before = encode(encoder, batch)
    batch["inputs"][:, 2] = 0
    for one, two in zip(before, encode(encoder, batch), strict=True):
        close(one, two)


@torch.no_grad()
def test_no_region_skips_the_dense_pass(tiny_json, monkeypatch):
    encoder, batch = build(tiny_json, frame_chunk=1).vision, make_batch(owners=(0, 2))
    batch["box_mask"][:] = torch.tensor([[True, False, True], [True, True, False]])
    asked, forward = [], encoder.tower.forward

    def spy(images, dense=True):
        asked.append(dense)
        return forward(images, dense)

    monkeypatch.setattr(encoder.tower, "forward", spy)
    encode(encoder, batch)
    assert asked == [True, False, True, *[False] * 3, True, True, False, *[False] * 3]
    videos, regions = encode(encoder, make_batch(owners=()))
    assert regions.shape == (0, 32) and len(videos) == 4 and not any(asked[12:])


def gradients(path, way, batch):
    model = build(path, **way)
    losses, _ = losses_and_logged(model(batch))
    total_loss(losses).backward()
    return losses, {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_pieces_change_no_gradient(tiny_json, way):
    batch = make_batch()
    losses, wanted = gradients(tiny_json, {}, batch)
    found, grads = gradients(tiny_json, way, batch)
    for name in losses:
        close(found[name], losses[name])
    for name, grad in wanted.items():
        close(grads[name], grad, ulps=8192, msg=name)


def kept_bytes(path, videos, **way):
    """Bytes that the graph of the features of that many videos keeps for the gradient, beside parameters and input."""
    encoder, batch, kept = build(path, **way).vision, make_batch(videos, 8, owners=range(0, videos, 2)), {}
    own = {p.untyped_storage().data_ptr() for p in encoder.parameters()} | {
        batch["inputs"].untyped_storage().data_ptr()
    }

    def pack(x):
        if x.untyped_storage().data_ptr() not in own:
            kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        found = encode(encoder, batch)
    return sum(kept.values()) + 0 * len(found)


def test_recomputing_a_video_keeps_next_to_nothing_of_it(tiny_json):
    plain, video = (kept_bytes(tiny_json, 6, recompute=way) for way in (None, "video"))
    assert video < plain / 20
    block = kept_bytes(tiny_json, 6, recompute="block")
    assert video < block < plain / 2


def test_the_scales_start_as_the_models(tiny_clip):
    encoder = VideoEncoder(tiny_clip)
    assert encoder.logit_scale == encoder.region_scale == tiny_clip.module.logit_scale
    assert encoder.logit_scale is not encoder.region_scale


def test_frames_of_another_size_and_a_chunk_of_nothing_are_refused(tiny_json):
    with pytest.raises(ValueError, match=r"frames of \(16, 32\) pixels, but the visual tower takes \(32, 32\)"):
        build(tiny_json).vision.frames(torch.zeros(1, 3, 16, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match="frame_chunk 0 must be a whole number of at least 1 or None"):
        build(tiny_json, frame_chunk=0)
