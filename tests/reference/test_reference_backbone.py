"""The video transformer against the numbers of the existing toolbox."""

import re

import pytest
import torch
from opentad_config import translate_backbone

from opentad_bi.models.backbones import Adapter, PlainAdapter, VitBlock, resize_table, sine_cosine_table
from opentad_bi.models.backbones.vit_block import ClipAttention
from opentad_bi.registry import BACKBONES

SIZES = ("s", "b", "h")


def close(ours, expected, tolerance=1e-5):
    """Equal to `tolerance` of the largest value, or of 1 where that is smaller."""
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance * scale)


def check_unit(module, unit):
    """Outputs and gradients of `module` with the weights and inputs of a fixture unit."""
    module.load_state_dict(unit["state_dict"])
    module.eval()
    x, *rest = unit["inputs"]
    x = x.clone().requires_grad_()
    out = module(x, *rest)
    close(out, unit["output"])
    (out * torch.arange(out.numel()).sin().view_as(out)).sum().backward()
    close(x.grad, unit["grad_input0"])
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    assert gradients.keys() == unit["param_grads"].keys()
    for name, expected in unit["param_grads"].items():
        close(gradients[name], expected)


def test_adapter(load_reference):
    unit = load_reference("units.pt")["adapter"]
    args = {key: value for key, value in unit["ctor"].items() if key != "note"}
    assert ("dwconv.weight" in unit["state_dict"]) == ("temporal_size" in args)
    check_unit(Adapter(**args) if "temporal_size" in args else PlainAdapter(**args), unit)


def test_attention(load_reference):
    unit = load_reference("units.pt")["vit_attention"]
    check_unit(ClipAttention(**unit["ctor"]), unit)


def test_block(load_reference):
    unit = load_reference("units.pt")["vit_block"]
    args = dict(unit["ctor"])
    args["eps"] = args.pop("norm_cfg")["eps"]
    time, wanted = args.pop("temporal_size"), args.pop("use_adapter")
    check_unit(VitBlock(**args, adapter=Adapter(args["embed_dims"], temporal_size=time) if wanted else None), unit)


def test_position_tables(load_reference):
    units = load_reference("units.pt")
    table = units["pos_embed_vit"]
    close(sine_cosine_table(table["n_position"], table["embed_dims"])[None], table["out"], 1e-6)
    pattern = re.compile(r"pos_embed_vit_interp_(\d+)_to_(\d+)")
    for match in filter(None, map(pattern.fullmatch, units)):
        unit, source, target = units[match[0]], int(match[1]), int(match[2])
        time = unit["out"].shape[1] // target**2
        full = sine_cosine_table(time * source**2, unit["embed_dims"])[None]
        close(resize_table(full, (time, source, source), (target, target)), unit["out"], 1e-6)


@pytest.fixture(scope="module")
def parity(load_reference):
    """The tiny end-to-end model: its fixture and our backbone with its weights."""
    fixture = load_reference("parity_adatad.pt")
    backbone = BACKBONES.build(translate_backbone(fixture["model_cfg"]["backbone"])).eval()
    state = load_reference("parity_adatad_state_dict.pth")
    backbone.load_state_dict({k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")})
    return fixture, backbone


@pytest.mark.parametrize("frozen", [True, False])
def test_feature_maps(parity, frozen):
    fixture, backbone = parity
    vit, seen = backbone.model["backbone"], {}
    hooked = {"patch_embed": vit.patch_embed, "vit_feature_map": vit}
    for i, block in enumerate(vit.blocks):
        parts = {"": block, ".attn": block.attn, ".mlp": block.mlp, ".adapter": block.adapter}
        hooked.update({f"block{i}{part}": module for part, module in parts.items() if module is not None})
    handles = [
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        for name, module in hooked.items()
    ]
    for parameter in backbone.parameters():
        parameter.requires_grad_(not frozen)
    seen["backbone_feat"] = backbone(fixture["inputs"]["inputs"])
    for handle in handles:
        handle.remove()
    checked = 0
    for key, expected in fixture["eval"].items():
        name = key.partition("[")[0]
        if name in seen:
            close(seen[name][: len(expected)], expected)
            checked += 1
    assert checked == len(seen)


def test_whole_detector_files_adapt(parity, load_reference):
    _, backbone = parity
    state = load_reference("parity_adatad_state_dict.pth")
    adapted = backbone.adapt_state_dict({f"module.{key}": value for key, value in state.items()})
    backbone.load_state_dict(adapted)


@pytest.mark.parametrize("size", SIZES)
def test_keys_shapes_and_parameter_counts(load_reference, size):
    listed = load_reference(f"state_dict_keys_videomae_{size}.json")
    config = load_reference(f"resolved_config_adatad_thumos_{size}.json")
    with torch.device("meta"):
        backbone = BACKBONES.build(translate_backbone(config["model"]["backbone"]))
    ours = [[f"backbone.{key}", list(value.shape)] for key, value in backbone.state_dict().items()]
    assert ours == [row[:2] for row in listed["keys"] if row[0].startswith("backbone.")]
    counts = {name: parameter.numel() for name, parameter in backbone.named_parameters()}
    assert sum(counts.values()) == listed["num_backbone"]
    assert sum(n for name, n in counts.items() if ".adapter." in name) == listed["num_adapter"]
