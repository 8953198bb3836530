"""The laws of training on real detectors: a pair, its freezing, its weights, its precision, its interruption."""

from functools import partial

import pytest
import tiny_detector as tiny
import torch
from close import close
from processes import run_processes
from test_laws import assert_same, part, resume_everywhere, weights

from opentad_bi.cli.main import call
from opentad_bi.config import config_text
from opentad_bi.engine.branch import Branch, train_mode
from opentad_bi.registry import MODELS

KINDS = ("frames", "features")
SIDES = {"for_model": False, "back_model": True}  # branch: does it see the windows played backward?


def save(path, state):
    """Write a state dict as a single run's checkpoint has it; returns the path."""
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, path)
    return str(path)


@pytest.mark.parametrize("kind", KINDS)
def test_unfused_pair_equals_two_single_runs(kind, make_runner, tmp_path):
    pair = make_runner(tiny.pair_config(kind), "pair")
    start = weights(pair.model)
    pair.train()
    for name, backward in SIDES.items():
        path = save(tmp_path / f"{name}.pth", part(start, f"{name}."))
        single = make_runner(tiny.single_config(kind, backward=backward, load_from=path), name)
        single.train()
        assert_same(weights(single.model), part(weights(pair.model), f"{name}."))
        assert_same(weights(single.ema.module), part(weights(pair.ema.module), f"{name}."))
        assert single.branches["model"].lrs == pair.branches[name].lrs
    assert not torch.equal(start["for_model.rpn_head.cls_head.weight"], pair.model.for_model.rpn_head.cls_head.weight)


@pytest.fixture
def experiment_2(make_runner, tmp_path):
    """The runner of experiment 2: two trained networks, frozen, and new adapters that train."""
    branches = {}
    for name, backward in SIDES.items():
        single = make_runner(tiny.single_config(backward=backward, drop=0.2), name)
        single.train()
        cfg = tiny.branch(
            load_from=str(single.work_dir / "checkpoint" / "epoch_1.pth"),
            load_missing=["*.bi_adapter.*"],
            trainable=["backbone.*.bi_adapter.*"],
            scheduler=None,
        )
        cfg["optimizer"]["backbone"]["custom"][0]["name"] = "bi_adapter"
        branches[name] = cfg
    return make_runner(tiny.pair_config(net=tiny.detector(drop=0.2, bi_adapter=True), branches=branches), "pair")


def test_experiment_2_trains_the_new_adapters_alone(experiment_2, monkeypatch):
    runner, graded = experiment_2, set()
    clip = Branch.clip

    def spy(branch, scaler):
        graded.update(f"{branch.name}.{n}" for n, p in branch.module.named_parameters() if p.grad is not None)
        return clip(branch, scaler)

    monkeypatch.setattr(Branch, "clip", spy)
    live = dict(runner.model.named_parameters())
    new = {name for name in live if ".bi_adapter." in name}
    before = weights(runner.model)
    runner.train()
    after = weights(runner.model)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed == graded == new  # buffers of the frozen parts, such as the loss normaliser, stay too
    stepped = {id(p) for branch in runner.branches.values() for p in branch.parameters}
    assert stepped == {id(live[name]) for name in new}
    assert {len(branch.optimizer.state) for branch in runner.branches.values()} == {len(new) // 2}
    shadow = dict(runner.ema.module.named_parameters())
    assert {name for name in live if shadow[name] is not live[name]} == new


def test_frozen_modules_are_in_eval_mode(experiment_2):
    train_mode(experiment_2.model)
    for name, module in experiment_2.model.named_modules():
        own = [p.requires_grad for p in module.parameters()]
        if own:
            assert module.training == any(own), name
    # stochastic depth of the frozen transformer stays active, as it was when its adapters were trained
    assert experiment_2.model.for_model.backbone.model["backbone"].blocks[1].drop_path.training


def test_new_parts_may_be_missing_only_where_declared(make_runner, tmp_path):
    single = make_runner(tiny.single_config(), "single")
    net = tiny.detector(bi_adapter=True)

    def pair(state, **options):
        path = save(tmp_path / "single.pth", state)
        branches = {"for_model": tiny.branch(load_from=path, **options), "back_model": tiny.branch()}
        return make_runner(tiny.pair_config(net=net, branches=branches), "pair")

    state = weights(single.model)
    with pytest.raises(ValueError, match=r"missing in the file \(18\): .*bi_adapter"):
        pair(state)
    loaded = part(weights(pair(state, load_missing=["*.bi_adapter.*"]).model), "for_model.")
    assert_same(state, {name: tensor for name, tensor in loaded.items() if ".bi_adapter." not in name})
    del state["projection.embed.0.conv.weight"]
    with pytest.raises(ValueError, match=r"missing in the file \(1\): projection\.embed\.0\.conv\.weight"):
        pair(state, load_missing=["*.bi_adapter.*"])


def test_a_pair_tells_its_detections_in_forward_time():
    pair = MODELS.build(
        {"type": "BiDirectional", "for_model": {"type": "LoudPart"}, "back_model": {"type": "LoudPart"}}
    )
    data = tiny.TinyWindows("features")
    batch = data.collate([data[i] for i in range(4)])
    batch["inputs"].zero_()
    for i, (start, end) in enumerate([(3, 9), (0, 24), (7, 31), (20, 24)]):
        batch["inputs"][i, 0, start : end + 1] = 1.0
    results = pair.predict({"for": batch})
    for result, (start, end) in zip(results, [(3, 9), (0, 24), (7, 31), (20, 24)], strict=True):
        for direction in ("for", "back"):
            assert result.detections[direction].segments.tolist() == [[start - 0.25, end + 0.25]]
    pair.directions = ("back",)
    for one, both in zip(pair.predict({"for": batch}), results, strict=True):
        assert list(one.detections) == ["back"]
        assert torch.equal(one.detections["back"].segments, both.detections["back"].segments)


def test_back_detections_are_those_of_the_reversed_windows(make_runner):
    pair = make_runner(tiny.pair_config(), training=False).model.eval()
    pair.for_model.pre_nms_thresh = pair.back_model.pre_nms_thresh = 0.0
    forward, backward = tiny.TinyWindows(), tiny.TinyWindows(backward=True)
    results = pair.predict({"for": forward.collate([forward[i] for i in range(2)])})
    alone = pair.back_model.predict(backward.collate([backward[i] for i in range(2)]))
    for result, other in zip(results, alone, strict=True):
        last = result.meta.valid_length - 1
        ours, expected = result.detections["back"], other.detections["model"]
        assert len(ours.scores) > 10
        close(ours.segments, last - expected.segments.flip(1))
        assert torch.equal(ours.scores, expected.scores)
        assert torch.equal(ours.labels, expected.labels)


def test_bf16_autocast_and_accumulation_run(make_runner):
    cfg = tiny.pair_config(net=tiny.detector(with_cp=True), amp="bf16", accumulate=2)
    cfg.workflow.end_epoch = 1
    runner = make_runner(cfg)
    assert runner.iters_per_epoch == 2
    assert next(iter(runner.loader))["for"]["inputs"].dtype == torch.uint8
    before = weights(runner.model)
    runner.train()
    assert set(runner.losses) == {f"{d}_{loss}_loss" for d in ("for", "back") for loss in ("cls", "reg")}
    for name, tensor in runner.model.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.isfinite(tensor).all()
    for name in SIDES:
        assert not torch.equal(before[f"{name}.rpn_head.cls_head.weight"],
                               runner.model.get_parameter(f"{name}.rpn_head.cls_head.weight"))  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_resume_of_a_pair_equals_no_interruption(kind, make_runner):
    cfg = tiny.pair_config(kind, net=tiny.detector(kind, drop=0.2))
    cfg.solver.train.num_workers = 1
    whole, again = resume_everywhere(cfg, make_runner, stop_after=3)
    assert_same(weights(whole.model), weights(again.model))
    assert_same(weights(whole.ema.module), weights(again.ema.module))
    assert whole.losses == again.losses
    assert (again.epoch, again.iteration) == (2, 0)


def test_a_pair_in_two_processes_stays_equal(tmp_path):
    cfg = tiny.pair_config(net=tiny.detector(drop=0.2, with_cp=True), static_graph=True)
    cfg.hooks = [{"type": "SaveEveryRank"}]
    cfg.custom_imports = {"imports": ["tiny_detector"], "allow_failed_imports": False}
    cfg.evaluation = {"type": "none"}
    cfg.work_dir = str(tmp_path / "exps")
    (tmp_path / "pair.py").write_text(config_text(cfg))
    run_processes(2, partial(call, "train"), [str(tmp_path / "pair.py"), "--skip-check", "--device", "cpu"])
    first, second = (torch.load(tmp_path / "exps" / "gpu2_id0" / f"rank{rank}.pt") for rank in (0, 1))
    for kind in ("live", "average"):
        assert_same(first[kind], second[kind])
    assert not torch.equal(first["live"]["back_model.rpn_head.cls_head.weight"],
                           first["average"]["back_model.rpn_head.cls_head.weight"])  # fmt: skip
