"""Fusions of two detectors: they start as the average, see no padding, and refuse what does not fit."""

import pytest
import small_detector as small
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.ops.records import Grid, Prediction
from opentad_bi.ops.reverse import realign
from opentad_bi.ops.segments import level_points
from opentad_bi.registry import FUSIONS, MODELS

WINDOW, STRIDES, CLASSES = 32, (1, 2, 4, 32), 3  # the last level has a single point
MIXERS = {
    "TimeFC": {"type": "TimeFC"},
    "TimeFC joined": {"type": "TimeFC", "joined": True},
    "PointFC": {"type": "PointFC"},
    "GatedAverage": {"type": "GatedAverage"},
    "ClassMean": {"type": "ClassMean"},
    "ClassConv3d": {"type": "ClassConv3d"},
}
FUSED = {
    **{f"joint {name}": {"type": "JointFusion", "mix": mix} for name, mix in MIXERS.items() if name != "ClassConv3d"},
    **{
        f"split {name}": {"type": "SplitFusion", "boundary": {"type": "TimeFC"}, "cls": m} for name, m in MIXERS.items()
    },
}
every_fusion = pytest.mark.parametrize("cfg", FUSED.values(), ids=FUSED)
valid_lengths = st.lists(st.integers(1, WINDOW), min_size=2, max_size=2)


def build(cfg, shift=0.0, **options):
    grid = Grid(CLASSES, WINDOW, STRIDES, tuple(shift * stride for stride in STRIDES))
    return FUSIONS.build({**cfg, **options}, grid=grid)


def maps(valid, seed, window=WINDOW, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    lengths = [window // stride for stride in STRIDES]
    return Prediction(
        cls=[torch.randn(len(valid), CLASSES, n, generator=generator) for n in lengths],
        reg=[torch.rand(len(valid), 2, n, generator=generator) * 4 for n in lengths],
        masks=[torch.arange(n) * s < torch.tensor(valid)[:, None] for n, s in zip(lengths, STRIDES, strict=True)],
        points=[level_points(n, s, (0, 10), shift=shift) for n, s in zip(lengths, STRIDES, strict=True)],
    )


def both(valid, seed=0, **options):
    return {"for": maps(valid, seed, **options), "back": maps(valid, seed + 1, **options)}


def shake(module):
    """Weights at which everything matters."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


def assert_same_where_valid(ours, expected, ulps=256):
    for mask, *pairs in zip(ours.masks, ours.cls, expected.cls, ours.reg, expected.reg, strict=True):
        for a, b in (pairs[:2], pairs[2:]):
            keep = mask[:, None].expand_as(a)
            close(a[keep], b[keep], ulps)


@every_fusion
@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.parametrize("tied", [False, True])
@given(valid=valid_lengths)
def test_it_starts_as_the_average_of_both_on_either_basis(cfg, shift, tied, valid):
    pair, lengths = both(valid, shift=shift), torch.tensor(valid)
    fused = build(cfg, shift, tied=tied)(pair, lengths)
    for own, other in (("for", "back"), ("back", "for")):
        aligned = realign(pair[other], lengths)
        mean = Prediction(
            cls=[(a + b) / 2 for a, b in zip(pair[own].cls, aligned.cls, strict=True)],
            reg=[((a + b) / 2).relu() for a, b in zip(pair[own].reg, aligned.reg, strict=True)],
            masks=pair[own].masks,
            points=pair[own].points,
        )
        assert_same_where_valid(fused[own], mean)


@every_fusion
@given(valid=valid_lengths)
def test_padding_reaches_no_valid_point(cfg, valid):
    fusion, pair = shake(build(cfg)), both(valid)
    lengths = torch.tensor(valid)
    before = fusion(pair, lengths)
    for prediction in pair.values():
        for level in (prediction.cls, prediction.reg):
            level[:] = [x.masked_fill(~m[:, None], 1e9) for x, m in zip(level, prediction.masks, strict=True)]
    after = fusion(pair, lengths)
    for direction in pair:
        assert_same_where_valid(after[direction], before[direction], ulps=0)


@every_fusion
def test_bases_have_their_own_weights_unless_tied(cfg):
    own, tied = (sum(p.numel() for p in build(cfg, tied=tied).parameters()) for tied in (False, True))
    assert own == 2 * tied
    fusion = shake(build(cfg))
    pair = both([WINDOW, 9])
    for parameter in fusion.mixers["back"].parameters():
        parameter.data.mul_(0)
    changed = fusion(pair, torch.tensor([WINDOW, 9]))
    again = shake(build(cfg))(pair, torch.tensor([WINDOW, 9]))
    assert_same_where_valid(changed["for"], again["for"])


@pytest.mark.parametrize("name", ["joint TimeFC", "joint TimeFC joined", "split PointFC", "split ClassConv3d"])
def test_every_weight_learns(name):
    fusion = shake(build(FUSED[name]))
    fused = fusion(both([WINDOW, WINDOW]), torch.tensor([WINDOW, WINDOW]))
    sum(x.square().sum() for p in fused.values() for x in (*p.cls, *p.reg)).backward()
    for parameter in fusion.parameters():
        assert parameter.grad.abs().sum() > 0


def test_a_gate_leans_to_the_better_direction_without_leaving_the_average():
    fusion = build(FUSED["joint GatedAverage"])
    with torch.no_grad():
        fusion.mixers["for"].gate[0, :, 2] = 50.0  # own direction, all levels, class logits
    pair = both([WINDOW, 20])
    fused = fusion(pair, torch.tensor([WINDOW, 20]))["for"]
    for mask, ours, own in zip(fused.masks, fused.cls, pair["for"].cls, strict=True):
        close(ours * mask[:, None], own * mask[:, None])


@pytest.mark.parametrize("mixer", ["TimeFC", "ClassConv3d"])
def test_a_random_start_destroys_what_trained_detectors_say(mixer):
    torch.manual_seed(0)
    cfg = FUSED[f"split {mixer}"]
    random = {**cfg, "cls": {**cfg["cls"], "start": "random"}}
    pair, lengths = both([WINDOW, WINDOW]), torch.tensor([WINDOW, WINDOW])
    for prediction in pair.values():
        prediction.cls = [x - 6 for x in prediction.cls]  # background, as nearly all points are
    calm = build(cfg)(pair, lengths)["for"].cls[0].sigmoid().mean()
    loud = build(random)(pair, lengths)["for"].cls[0].sigmoid().mean()
    assert calm < 0.01 < 10 * calm < loud


def test_flip_alignment_is_the_reversal_of_padded_arrays():
    pair, lengths = both([WINDOW, 20]), torch.tensor([WINDOW, 20])
    fused = build(FUSED["joint ClassMean"], alignment="flip")(pair, lengths)["for"]
    expected = (pair["for"].cls[1][0] + pair["back"].cls[1][0].flip(1)) / 2
    close(fused.cls[1][0], expected)
    padded = (pair["for"].cls[0][1] + pair["back"].cls[0][1].flip(1)) / 2  # brings the padding of the other in
    close(fused.cls[0][1][:, :20], padded[:, :20])


def test_mixed_precision_around_it_changes_nothing():
    fusion, pair, lengths = shake(build(FUSED["joint TimeFC"])), both([WINDOW, 9]), torch.tensor([WINDOW, 9])
    plain = fusion(pair, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = fusion(pair, lengths)
    for direction in pair:
        assert_same_where_valid(inside[direction], plain[direction], ulps=0)


def test_time_fc_names_the_window_it_was_built_for():
    for name in ("joint TimeFC", "joint TimeFC joined"):
        with pytest.raises(
            ValueError, match=r"built for windows of 32 positions.*levels of \[64, 32, 16, 2\].*PointFC"
        ):
            build(FUSED[name])(both([40, 64], window=64), torch.tensor([40, 64]))
    build(FUSED["joint PointFC"])(both([40, 64], window=64), torch.tensor([40, 64]))


def pair_of(for_model, back_model, **options):
    fusion = {"type": "SplitFusion", "boundary": {"type": "TimeFC"}, "cls": {"type": "ClassMean"}}
    return MODELS.build(
        {"type": "BiDirectional", "for_model": for_model, "back_model": back_model, "fusion": fusion, **options}
    )


@pytest.mark.parametrize(
    "other",
    [
        small.config(head={"num_classes": 5}),
        small.config(levels=2),
        small.config(length=64),
        small.config(head={"prior_generator": {**small.config()["rpn_head"]["prior_generator"], "use_offset": True}}),
    ],
    ids=["classes", "levels", "window", "offset"],
)
def test_detectors_that_do_not_fit_are_refused_at_build_time(other):
    with pytest.raises(ValueError, match="same classes, window and points, but for_model has Grid"):
        pair_of(small.config(), other)


def test_unknown_choices_are_errors():
    with pytest.raises(ValueError, match="alignment 'mirror' is not a choice; known: exact, flip"):
        build(FUSED["joint TimeFC"], alignment="mirror")
    with pytest.raises(ValueError, match="start 'mean' is not a choice; known: average, random"):
        build({"type": "JointFusion", "mix": {"type": "TimeFC", "start": "mean"}})
    with pytest.raises(ValueError, match="direction 'fussed' is unknown; did you mean 'fused'"):
        pair_of(small.config(), small.config(), directions=["fussed"])
    with pytest.raises(KeyError, match="no mixer is called 'TimeFc'; did you mean 'TimeFC'"):
        build({"type": "JointFusion", "mix": {"type": "TimeFc"}})


def test_a_mixer_is_no_fusion_and_a_fusion_no_mixer():
    with pytest.raises(KeyError, match="no fusion is called 'ClassMean'; known: JointFusion, SplitFusion"):
        build({"type": "ClassMean"})
    with pytest.raises(KeyError, match="no mixer is called 'JointFusion'"):
        build({"type": "JointFusion", "mix": {"type": "JointFusion"}})


def test_a_checkpoint_without_a_fusion_is_refused():
    pair = pair_of(small.config(), small.config())
    state = {name: tensor for name, tensor in pair.state_dict().items() if not name.startswith("fusion.")}
    with pytest.raises(ValueError, match="holds no fusion, but the config has one"):
        pair.adapt_state_dict(state)
    assert pair.adapt_state_dict(pair.state_dict())


def test_fused_detections_are_told_on_both_bases_in_forward_time():
    torch.manual_seed(0)
    pair = pair_of(small.config(pre_nms_thresh=0.0), small.config(pre_nms_thresh=0.0)).eval()
    shake(pair.for_model)
    pair.back_model.load_state_dict(pair.for_model.state_dict())
    batch = small.batch([32, 21], length=32)
    results = pair.predict(batch)
    assert [sorted(result.detections) for result in results] == [["back", "for", "fused_back", "fused_for"]] * 2
    raw = {"for": pair.for_model.raw(batch), "back": pair.back_model.raw(pair._side(batch, "back"))}
    fused = pair.fusion(raw, torch.tensor([32, 21]))
    for i, (result, valid) in enumerate(zip(results, [32, 21], strict=True)):
        own = pair.for_model.decode(fused["for"])[i]
        assert torch.equal(result.detections["fused_for"].segments, own.segments)
        back = pair.back_model.decode(fused["back"])[i]
        close(result.detections["fused_back"].segments, valid - 1 - back.segments.flip(1))
    pair.directions = ("fused",)
    assert [sorted(result.detections) for result in pair.predict(batch)] == [["fused_back", "fused_for"]] * 2
    pair.directions = ("for",)
    assert [sorted(result.detections) for result in pair.predict(batch)] == [["for"]] * 2
