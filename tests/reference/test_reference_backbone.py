"""The video transformer against the numbers of the existing toolbox."""

import re

import pytest
import torch
from opentad_config import translate_backbone
from reference_files import names, parity_names
from reference_models import close

from opentad_bi.engine.warm_start import load_weights
from opentad_bi.models.backbones.adapters import Adapter, PlainAdapter
from opentad_bi.models.backbones.vit_adapter import ClipAttention, VitBlock, resize_table, sine_cosine_table
from opentad_bi.registry import BACKBONES

SIZES = names("state_dict_keys_videomae_*.json")
MAPS = re.compile(r"(patch_embed|vit_feature_map|backbone_feat|block\d+(\.\w+)?)(\[.*\])?")
# arguments of a block that ours lacks, at the value at which they change nothing
NEUTRAL = {"drop_rate": 0, "attn_drop_rate": 0, "drop_path_rate": 0, "init_values": 0, "qk_scale": None}


ADAPTER_ARGUMENTS = {"temporal_size": "temporal_size", "adapter_mlp_ratio": "mlp_ratio"}


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
    if "dwconv.weight" in unit["state_dict"]:
        check_unit(Adapter(**args), unit)
    else:
        check_unit(PlainAdapter(**{key: args[key] for key in ("embed_dims", "mlp_ratio") if key in args}), unit)


def test_attention(load_reference):
    unit = load_reference("units.pt")["vit_attention"]
    check_unit(ClipAttention(**unit["ctor"]), unit)


def test_block(load_reference):
    unit = load_reference("units.pt")["vit_block"]
    args = {key: value for key, value in unit["ctor"].items() if key != "note"}
    for key in NEUTRAL.keys() & args.keys():
        assert args.pop(key) == NEUTRAL[key], f"{key}: ours has no such argument"
    if "norm_cfg" in args:
        args["eps"] = args.pop("norm_cfg")["eps"]
    inner = {ours: args.pop(key) for key, ours in ADAPTER_ARGUMENTS.items() if key in args}
    wanted = args.pop("use_adapter", any(key.startswith("adapter.") for key in unit["state_dict"]))
    check_unit(VitBlock(**args, adapter=Adapter(args["embed_dims"], **inner) if wanted else None), unit)


def test_position_tables(load_reference):
    units = load_reference("units.pt")
    table = units["pos_embed_vit"]
    close(sine_cosine_table(table["n_position"], table["embed_dims"])[None], table["out"], 1e-6)
    table = units["pos_embed_1d"]  # channels first, for sequences
    close(sine_cosine_table(table["n_position"], table["d_hid"]).T[None], table["out"], 1e-6)
    pattern = re.compile(r"pos_embed_vit_interp_(\d+)_to_(\d+)")
    for match in filter(None, map(pattern.fullmatch, units)):
        unit, source, target = units[match[0]], int(match[1]), int(match[2])
        time = unit["out"].shape[1] // target**2
        full = sine_cosine_table(time * source**2, unit["embed_dims"])[None]
        close(resize_table(full, (time, source, source), (target, target)), unit["out"], 1e-6)


@pytest.fixture(scope="module", params=parity_names(backbone=True))
def parity(request, load_reference):
    """A tiny end-to-end model: its fixture, our backbone with its weights, and all its weights."""
    fixture = load_reference(f"parity_{request.param}.pt")
    backbone = BACKBONES.build(translate_backbone(fixture["model_cfg"]["backbone"])).eval()
    state = load_reference(f"parity_{request.param}_state_dict.pth")
    backbone.load_state_dict({k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")})
    return fixture, backbone, state


@pytest.mark.parametrize("frozen", [True, False])
def test_feature_maps(parity, frozen):
    fixture, backbone, _ = parity
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
    wanted = {key: expected for key, expected in fixture["eval"].items() if MAPS.fullmatch(key)}
    assert wanted
    for key, expected in wanted.items():  # whole, or of the first clips
        close(seen[key.partition("[")[0]][: len(expected)], expected)


def test_the_backbone_of_a_whole_detector_loads(parity):
    _, backbone, state = parity
    others = {f"{key.partition('.')[0]}.*" for key in state if not key.startswith("backbone.")}
    file = {f"module.{key}": value for key, value in state.items()}
    assert load_weights(backbone, file, what="a detector", unexpected=others) == len(backbone.state_dict())


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
