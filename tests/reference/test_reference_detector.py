"""The detector against the numbers of the existing toolbox."""

import pytest
import torch
from opentad_config import translate_model
from torch import nn

from opentad_bi.models.layers.conv_unit import ConvUnit
from opentad_bi.models.projections.transformer_block import TransformerBlock
from opentad_bi.ops.assignment import assign_targets
from opentad_bi.ops.segments import decode_segments
from opentad_bi.registry import LOSSES, MODELS

MODELS_BY_FILE = ("parity_actionformer_feat", "parity_adatad")
SIZES = ("s", "b", "h")


def close(ours, expected, tolerance=1e-5):
    """Equal to `tolerance` of the largest value, or of 1 where that is smaller."""
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance * scale)


def check_unit(module, unit):
    """Outputs, masks and gradients of `module` with the weights and inputs of a fixture unit."""
    assert list(module.state_dict()) == list(unit["state_dict"])
    module.load_state_dict(unit["state_dict"])
    module.eval()
    x, mask = unit["inputs"]
    x = x.clone().requires_grad_()
    out, mask = module(x, mask)
    close(out, unit["output"][0])
    assert torch.equal(mask, unit["output"][1])
    (out * torch.arange(out.numel()).sin().view_as(out)).sum().backward()
    close(x.grad, unit["grad_input0"])
    for name, parameter in module.named_parameters():
        close(parameter.grad, unit["param_grads"][name])


def test_transformer_blocks(load_reference):
    units = {k: v for k, v in load_reference("units.pt").items() if k.startswith("transformer_block")}
    assert units
    for unit in units.values():
        args = dict(unit["ctor"])
        (stride,) = set(args.pop("n_ds_strides"))
        window, channels = args.pop("mha_win_size"), args.pop("in_channels")
        check_unit(TransformerBlock(channels, stride=stride, window=window, **args), unit)


def test_convolution_units(load_reference):
    units = {k: v for k, v in load_reference("units.pt").items() if k.startswith("conv_module")}
    assert units
    for unit in units.values():
        args = dict(unit["ctor"])
        assert args.pop("padding") == args["kernel_size"] // 2
        norm, act = args.pop("norm_cfg", None), args.pop("act_cfg", None)
        sizes = args.pop("in_channels"), args.pop("out_channels")
        args.update(args.pop("conv_cfg", {}))
        check_unit(ConvUnit(*sizes, norm=norm is not None, act=act is not None, **args), unit)


def test_loss_tables(load_reference):
    units = load_reference("units.pt")
    focal, segment = units["focal_loss"], units["diou_loss"]
    loss = LOSSES.build({"type": "FocalLoss", "alpha": focal["alpha"], "gamma": focal["gamma"]})
    close(loss(focal["logits"], focal["targets"]), focal["none"], 1e-6)
    close(loss(focal["logits"], focal["targets"]).sum(), focal["sum"])
    close(loss(focal["logits"], focal["targets_smooth"]), focal["none_smooth"], 1e-6)
    diou, giou = (LOSSES.build({"type": f"{kind}Loss"}) for kind in ("DIOU", "GIOU"))
    close(diou(segment["pred"], segment["target"]), segment["none"], 1e-6)
    close(diou(segment["pred"], segment["target"]).sum(), segment["sum"])
    close(giou(segment["pred"], segment["target"]), segment["giou_none"], 1e-6)


def test_target_assignment(load_reference):
    unit = load_reference("units.pt")["target_assignment"]
    for case in unit["cases"]:
        ours = assign_targets(
            case["points"],
            case["gt_segments"],
            case["gt_labels"],
            unit["num_classes"],
            radius=unit["center_sample_radius"],
            filter_similar_gt=case["filter_similar_gt"],
        )
        for got, expected in zip(ours, (case["gt_cls"], case["gt_reg"]), strict=True):
            assert torch.equal(got, torch.stack(expected))


@pytest.fixture(scope="module", params=MODELS_BY_FILE)
def parity(request, load_reference):
    """A fixture of a whole tiny model, and a function that builds ours with its weights."""
    fixture = load_reference(f"{request.param}.pt")
    state = load_reference(f"{request.param}_state_dict.pth")

    def build(**options):
        model = MODELS.build({**translate_model(fixture["model_cfg"]), **options})
        assert list(model.state_dict()) == list(state)
        model.load_state_dict(state, strict=True)
        return model.eval()

    return fixture, build


def our_batch(inputs, fixture):
    """A batch of ours; missing entries come from the inputs of the fixture."""
    keys = ("inputs", "masks", "gt_segments", "gt_labels")
    batch = {k: fixture["inputs"][k] if inputs.get(k) is None else inputs[k] for k in keys}
    if batch["inputs"].dim() == 6:  # one clip per sample: (B, 1, 3, T, H, W)
        batch["inputs"] = batch["inputs"].squeeze(1)
    return batch


def unpadded(prediction):
    """Segments and scores of each sample without padding, all levels in order."""
    mask = torch.cat(prediction.masks, dim=1)
    segments = decode_segments(torch.cat(prediction.points), torch.cat(prediction.reg, dim=2).transpose(1, 2))
    scores = torch.cat(prediction.cls, dim=2).sigmoid().transpose(1, 2)
    return [segments[i][keep] for i, keep in enumerate(mask)], [scores[i][keep] for i, keep in enumerate(mask)]


def test_maps(parity):
    fixture, build = parity
    model, expected, seen = build(), fixture["eval"], {}
    hooked = {"projection": model.projection, "neck": model.neck}
    hooked.update({f"embed{i}": unit for i, unit in enumerate(model.projection.embed)})
    hooked.update({f"stem{i}": block for i, block in enumerate(model.projection.stem)})
    for name, module in hooked.items():
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    with torch.no_grad():
        prediction = model.raw(our_batch({}, fixture))
    for name, (x, mask) in seen.items():
        pairs = [(x, mask), expected[name]]
        if torch.is_tensor(x):
            pairs = [([a], [b]) for a, b in pairs]
        for ours, theirs in zip(pairs[0][0], pairs[1][0], strict=True):
            close(ours, theirs)
        assert all(torch.equal(a, b) for a, b in zip(pairs[0][1], pairs[1][1], strict=True))
    for name, ours in (("cls_logits", prediction.cls), ("reg_offsets", prediction.reg)):
        for a, b in zip(ours, expected[name], strict=True):
            close(a, b)
    assert all(torch.equal(a, b) for a, b in zip(prediction.points, expected["points"], strict=True))
    for name, ours in zip(("proposals", "scores"), unpadded(prediction), strict=True):
        for a, b in zip(ours, expected[name], strict=True):
            close(a, b)


def test_losses_and_targets_in_evaluation(parity):
    fixture, build = parity
    model, batch = build(), our_batch({}, fixture)
    with torch.no_grad():
        prediction = model.raw(batch)
        losses = model.losses(prediction, batch)
    for name, value in losses.items():
        close(value, fixture["eval_losses"][name])
    close(sum(losses.values()), fixture["eval_losses"]["cost"])
    cls, reg = model.rpn_head.targets(torch.cat(prediction.points), batch["gt_segments"], batch["gt_labels"])
    assert torch.equal(cls, fixture["targets"]["gt_cls"]) and torch.equal(reg, fixture["targets"]["gt_reg"])


@pytest.mark.parametrize("minimal_padding", [False, True])
def test_inference_at_every_length(parity, minimal_padding):
    fixture, build = parity
    for case in fixture["inference"].values():
        if not isinstance(case, dict) or "proposals" not in case:
            continue
        post = case["post_cfg"]
        limits = {k: post[k] for k in ("pre_nms_thresh", "pre_nms_topk") if k in post}
        model, batch = build(minimal_padding=minimal_padding, **limits), our_batch(case, fixture)
        with torch.no_grad():
            prediction = model.raw(batch)
        for ours, name in zip(unpadded(prediction), ("proposals", "scores"), strict=True):
            for a, b in zip(ours, case[name], strict=True):
                close(a, b)
        for found, segments, scores in zip(model.decode(prediction), case["proposals"], case["scores"], strict=True):
            best = scores.flatten().sort(descending=True).values
            best = best[best > model.pre_nms_thresh][: model.pre_nms_topk]
            close(found.scores, best)
            distance = (found.segments[:, None] - segments).abs().amax(-1)
            distance = distance + (found.scores[:, None] - scores[:, found.labels].T).abs()
            assert distance.amin(1).max() < 1e-3


def test_first_training_iteration(parity):
    fixture, build = parity
    model, expected = build().train(), fixture["train"]["first_iter"]
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout1d):
            module.p = 0.0
        for name in ("drop_prob", "rate"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    parameters = dict(model.named_parameters())
    assert list(parameters) == list(expected["requires_grad"])
    for name, parameter in parameters.items():
        parameter.requires_grad_(expected["requires_grad"][name])
    losses = model(our_batch({}, fixture))
    sum(losses.values()).backward()
    for name, value in losses.items():
        close(value.detach(), expected["losses"][name])
    close(model.rpn_head.loss_normalizer, expected["loss_normalizer_after"].float())
    for name, norm in expected["grad_norms"].items():
        gradient = parameters[name].grad
        assert (gradient is None) == (norm is None), name
        if norm is not None:
            assert gradient.norm().item() == pytest.approx(float(norm), rel=1e-3, abs=1e-6), name
    for name, gradient in expected["grads"].items():
        close(parameters[name].grad, gradient, 1e-4)
    norms = [p.grad.norm() for p in parameters.values() if p.grad is not None]
    close(torch.stack(norms).norm(), expected["grad_norm"], 1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_keys_shapes_and_parameter_counts(load_reference, size):
    listed = load_reference(f"state_dict_keys_videomae_{size}.json")
    config = load_reference(f"resolved_config_adatad_thumos_{size}.json")
    with torch.device("meta"):
        model = MODELS.build(translate_model(config["model"]))
    ours = [[key, list(value.shape)] for key, value in model.state_dict().items()]
    assert ours == [row[:2] for row in listed["keys"]]
    assert sum(parameter.numel() for parameter in model.parameters()) == listed["num_params"]
    # the one known difference: the running normaliser is float32 from the start
    types = {key: str(value.dtype).removeprefix("torch.") for key, value in model.state_dict().items()}
    assert [row[0] for row in listed["keys"] if types[row[0]] != row[2]] == ["rpn_head.loss_normalizer"]


def test_feature_config_builds(load_reference):
    config = load_reference("resolved_config_actionformer_thumos_i3d.json")
    with torch.device("meta"):
        model = MODELS.build(translate_model(config["model"]))
    assert model.projection.max_seq_len == config["model"]["projection"]["max_seq_len"]
