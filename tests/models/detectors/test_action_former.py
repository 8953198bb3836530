import copy

import pytest
import torch
from close import close
from hypothesis import given, settings
from hypothesis import strategies as st
from small_detector import CLASSES, batch, config, detector

from opentad_bi.models.detectors.single_stage import minimal_length, padded_length
from opentad_bi.registry import MODELS


def valid_maps(prediction, sample):
    """Class and distance maps of one sample without padding, all levels."""
    maps = [
        torch.cat([cls[sample], reg[sample]])[:, mask[sample]]
        for cls, reg, mask in zip(prediction.cls, prediction.reg, prediction.masks, strict=True)
    ]
    return torch.cat(maps, dim=1)


@settings(max_examples=20)
@given(st.integers(1, 26), st.integers(0, 40), st.sampled_from([-1, 3, 5]), st.booleans())
def test_padding_does_not_leak(valid, extra, window, positions):
    # one padded column on the coarsest level is there from the start: 26 <= 32 - 4, and then some
    model = detector(window=window, length=32, projection={"use_abs_pe": positions and extra == 0})
    with torch.no_grad():
        alone = model.raw(batch([valid]))
        padded = model.raw(batch([valid], length=valid + extra))
        accompanied = model.raw(
            {key: torch.cat([batch([valid], length=30)[key], batch([30], seed=1)[key]]) for key in ("inputs", "masks")}
        )
    expected = valid_maps(alone, 0)
    close(valid_maps(padded, 0), expected, ulps=1024)
    close(valid_maps(accompanied, 0), expected, ulps=1024)


@settings(max_examples=20)
@given(st.integers(1, 64), st.sampled_from([-1, 3, 5]), st.booleans())
def test_minimal_padding_changes_nothing_but_the_length(valid, window, positions):
    options = {"window": window, "length": 64, "projection": {"use_abs_pe": positions}}
    full, short = detector(**options), detector(**options, minimal_padding=True)
    sample = batch([valid, max(1, valid // 2)])
    with torch.no_grad():
        expected, got = full.raw(sample), short.raw(sample)
    assert got.masks[0].shape[1] <= expected.masks[0].shape[1] == 64
    for i in range(2):
        close(valid_maps(got, i), valid_maps(expected, i), ulps=1024)
    short.train()
    assert short.raw(sample).masks[0].shape[1] == 64


@given(st.integers(1, 5000), st.sampled_from([(1,), (1, 2, 4), (18, 36, 72)]), st.integers(1, 20))
def test_lengths_are_legal_and_short(length, divisors, multiple):
    strides, limit = [2**i for i in range(len(divisors))], divisors[-1] * multiple
    full, short = padded_length(length, limit, divisors), minimal_length(length, limit, divisors, strides)
    for value in (full, short):
        assert value >= length and all(value % d == 0 for d in divisors)
    assert short <= full
    assert full == max(limit, -(-length // divisors[-1]) * divisors[-1])
    assert length >= limit or short == limit or short - length <= strides[-1] + 2 * divisors[-1]


def test_the_contract_of_a_detector():
    model, sample = detector(), batch([32, 20])
    losses = model(sample)
    assert set(losses) == {"cls_loss", "reg_loss"} and all(v.dim() == 0 for v in losses.values())
    assert model.branches() == {"model": model}
    results = model.predict(sample)
    assert [r.meta for r in results] == sample["meta"]
    for result, valid in zip(results, (32, 20), strict=True):
        found = result.detections["model"]
        assert len(found.scores) <= CLASSES * sum(-(-valid // s) for s in (1, 2, 4))
        assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
        assert found.segments.shape == (len(found.scores), 2) and found.labels.dtype == torch.int64
        assert (found.scores > 0.001).all() and not found.segments.requires_grad


def test_thresholds_of_candidates():
    sample = batch([32])
    every = detector().predict(sample)[0].detections["model"]
    few = detector(pre_nms_topk=7).predict(sample)[0].detections["model"]
    assert torch.equal(few.scores, every.scores[:7]) and torch.equal(few.segments, every.segments[:7])
    middle = every.scores.median().item()
    best = detector(pre_nms_thresh=middle).predict(sample)[0].detections["model"]
    assert torch.equal(best.scores, every.scores[every.scores > middle])


def test_training_steps_reduce_the_loss():
    torch.manual_seed(0)
    model, sample = MODELS.build(config()), batch([32, 20])
    before = sum(model.eval()(sample).values()).item()  # the normaliser of training moves, that of evaluation does not
    optimizer = torch.optim.AdamW(model.train().parameters(), 1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        sum(model(sample).values()).backward()
        optimizer.step()
    assert all(p.grad is not None for p in model.parameters())
    assert sum(model.eval()(sample).values()).item() < 0.7 * before


@pytest.mark.parametrize("empty", [[0], [0, 1]])
def test_samples_without_instances(empty):
    model, sample = detector().train(), batch([32, 20])
    for i in empty:
        sample["gt_segments"][i], sample["gt_labels"][i] = torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)
    losses = model(sample)
    sum(losses.values()).backward()
    assert (losses["reg_loss"] == 0) == (len(empty) == 2)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_level_of_one_point():
    model = detector(levels=4, length=8)
    prediction = model.raw(batch([8, 3]))
    assert [m.shape[1] for m in prediction.masks] == [8, 4, 2, 1]
    sum(model.losses(prediction, batch([8, 3])).values()).backward()


def test_the_normaliser_remembers_positives_in_training_only():
    model, sample = detector(), batch([32, 20])
    points = model.raw(sample)
    cls, _ = model.rpn_head.targets(torch.cat(points.points), sample["gt_segments"], sample["gt_labels"])
    count = ((cls > 0).any(-1) & torch.cat(points.masks, dim=1)).sum().item()
    in_evaluation = model.losses(points, sample)
    assert model.rpn_head.loss_normalizer == 100 and count > 1
    model.train()
    in_training = model.losses(points, sample)
    expected = 0.9 * 100 + 0.1 * count
    assert model.rpn_head.loss_normalizer.item() == pytest.approx(expected)
    for name, value in in_training.items():
        assert value.item() * expected == pytest.approx(in_evaluation[name].item() * count, rel=1e-4)


def test_two_forward_passes_before_one_backward():
    model = detector().train()
    (sum(model(batch([32])).values()) + sum(model(batch([20])).values())).backward()


def test_a_normaliser_saved_as_integer_loads():
    model = detector()
    state = {**model.state_dict(), "rpn_head.loss_normalizer": torch.tensor(91)}
    model.load_state_dict(state, strict=True)
    assert model.rpn_head.loss_normalizer.dtype == torch.float32 and model.rpn_head.loss_normalizer == 91


def test_options_of_the_head():
    sample = batch([32, 20])
    plain = detector()(sample)
    smooth = detector(head={"label_smoothing": 0.2})(sample)
    assert smooth["cls_loss"] != plain["cls_loss"] and smooth["reg_loss"] == plain["reg_loss"]
    balanced = detector(head={"loss_weight": 0})(sample)
    assert balanced["reg_loss"].item() == pytest.approx(plain["cls_loss"].item(), rel=1e-4)
    inside = detector(head={"center_sample": "none"})
    near = detector()
    points, truth = torch.cat(near.raw(sample).points), (sample["gt_segments"], sample["gt_labels"])
    assert inside.rpn_head.targets(points, *truth)[0].sum() > near.rpn_head.targets(points, *truth)[0].sum()


def test_autocast_gives_float32_maps():
    model, sample = detector(window=5).train(), batch([32, 20])
    with torch.autocast("cpu", torch.bfloat16):
        prediction = model.raw(sample)
        losses = model.losses(prediction, sample)
    assert {x.dtype for x in prediction.cls + prediction.reg} == {torch.float32}
    assert all(v.dtype == torch.float32 for v in losses.values())
    sum(losses.values()).backward()
    exact = copy.deepcopy(model).eval().losses(model.raw(sample), sample)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters()) and torch.isfinite(exact["cls_loss"])


def test_several_streams_and_positions():
    options = {"in_channels": [2, 4], "out_channels": [3, 5], "use_abs_pe": True}
    model = detector(projection=options)
    assert "projection.proj.1.conv.weight" in model.state_dict()
    assert not any("table" in key for key in model.state_dict())
    sum(model(batch([32])).values()).backward()
    assert model.raw(batch([40])).masks[0].shape[1] == 40  # the table is stretched
    with pytest.raises(ValueError, match="max_seq_len"):
        model.train().raw(batch([40]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 30}, "max_seq_len 30"),
        ({"window": [3, 5]}, "2 windows"),
        ({"projection": {"attn_cfg": {"n_head": 3}}}, "n_head 3"),
        ({"projection": {"norm_cfg": {"type": "BN"}}}, "norm_cfg"),
        ({"projection": {"arch": (2, 1, 4)}}, "3 strides"),
        ({"head": {"center_sample": "radios"}}, "radios"),
    ],
)
def test_configs_that_cannot_work_say_why(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(config(**options))


def test_misspelt_options_and_wrong_lengths_are_errors():
    with pytest.raises(KeyError, match="n_mha_win_size"):
        MODELS.build(config(projection={"attn_cfg": {"n_mha_win_sizes": 3}}))
    sample = batch([32])
    with pytest.raises(ValueError, match="31"):
        detector().raw({**sample, "masks": sample["masks"][:, :31]})


@pytest.mark.cuda
@pytest.mark.parametrize("window", [-1, 5])
def test_the_device_says_the_same(window):
    model, sample = detector(window=window), batch([32, 20])
    here = model(sample)
    there = model.cuda()({k: v.cuda() if isinstance(v, torch.Tensor) else v for k, v in sample.items()})
    for name, value in here.items():
        close(there[name].cpu(), value, ulps=8192)


@pytest.mark.parametrize("seed", range(5))
def test_a_distance_prior_keeps_both_distances_alive(seed):
    torch.manual_seed(seed)
    model = MODELS.build(config(head={"reg_prior": 1.0}))
    prediction = model.raw(batch([32], seed=seed))
    distances = torch.cat(prediction.reg, dim=2)[0]  # (2, P)
    assert ((distances > 0).float().mean(dim=1) > 0.9).all()
    assert (distances.mean(dim=1) - 1.0).abs().max() < 0.5


def test_features_of_another_width_are_named():
    model, given = detector(length=32), batch([20])
    wide = {**given, "inputs": torch.cat([given["inputs"]] * 2, dim=1)}
    width = given["inputs"].shape[1]
    with pytest.raises(ValueError, match=f"features have {2 * width} channels, .* takes in_channels={width}"):
        model.raw(wide)
