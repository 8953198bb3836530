"""Published key styles load strictly."""

import pytest
import torch

from opentad_bi.engine.warm_start import load_weights
from opentad_bi.models.backbones.video_backbone import VideoBackbone
from opentad_bi.models.backbones.vit_adapter import VisionTransformerAdapter

SMALL = {"img_size": 32, "embed_dims": 16, "depth": 2, "num_heads": 2, "num_frames": 4, "total_frames": 4}


def vit(**options):
    return VisionTransformerAdapter(**SMALL, **options)


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


def original(state, encoder=False):
    """`state` as the original VideoMAE names it: without the fixed table, fc1 / fc2, `proj`."""
    names = {"patch_embed.projection": "patch_embed.proj", "mlp.layers.0.0": "mlp.fc1", "mlp.layers.1": "mlp.fc2"}
    renamed = {}
    for key, value in state.items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        if key != "pos_embed" and not (encoder and key.startswith("fc_norm")):
            renamed["encoder." + key if encoder else key] = value
    return renamed


STYLES = {
    "own": lambda s: s,
    "data parallel": lambda s: prefixed(s, "module."),
    "wrapper": lambda s: prefixed(s, "model.backbone."),
    "detector": lambda s: {**prefixed(s, "backbone.model.backbone."), "neck.weight": torch.zeros(1)},
    "detector, data parallel": lambda s: {
        **prefixed(s, "module.backbone.model.backbone."),
        "module.rpn_head.scale": torch.zeros(1),
    },
    "recogniser": lambda s: prefixed(s, "backbone."),
    "original": original,
    "pre-training": lambda s: original(s, encoder=True),
}

# what files of a style lack of this network, and have beyond it
ABSENT = {"original": ["pos_embed"], "pre-training": ["pos_embed", "fc_norm.weight", "fc_norm.bias"]}
FOREIGN = {"detector": ["neck.*"], "detector, data parallel": ["rpn_head.*"]}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("style", STYLES)
def test_style_loads_strictly(style, wrapped):
    torch.manual_seed(0)
    source = vit(adapter_index=[])
    file = STYLES[style](source.state_dict())
    before = dict(file)
    target = vit(adapter_index=[])
    module = VideoBackbone(backbone={"type": "VisionTransformerAdapter", **SMALL, "adapter_index": []})
    if wrapped:
        target = module.model["backbone"]
    module = module if wrapped else target
    absent = [key for key in ABSENT.get(style, ()) if key in source.state_dict()]
    allowed = {"missing": [f"*{key}" for key in absent], "unexpected": FOREIGN.get(style, ())}
    assert load_weights(module, file, what=style, **allowed) == len(source.state_dict()) - len(absent)
    assert file == before
    for key, value in source.state_dict().items():
        if key not in absent:
            assert torch.equal(target.state_dict()[key], value), key


@pytest.mark.parametrize("style", ["detector", "original"])
def test_what_a_file_lacks_or_has_beyond_is_reported(style):
    file = STYLES[style](vit().state_dict())
    with pytest.raises(ValueError, match="neck.weight" if style == "detector" else "pos_embed"):
        load_weights(vit(), file, what=style)


@pytest.mark.parametrize("name", ["head", "cls_head.fc_cls"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_classifier_stays_for_the_strict_load_to_report(name, wrapped):
    source = vit()
    file = prefixed(source.state_dict(), "backbone.") if name.startswith("cls") else original(source.state_dict())
    file[f"{name}.weight"] = torch.zeros(4, 16)
    module = VideoBackbone(backbone={"type": "VisionTransformerAdapter", **SMALL}) if wrapped else vit()
    adapted = module.adapt_state_dict(file)
    result = module.load_state_dict(adapted, strict=False)
    assert result.unexpected_keys == ["cls_head.fc_cls.weight"]
    assert all(key.endswith("pos_embed") for key in result.missing_keys)


def test_missing_adapters_are_reported():
    module = vit(bi_adapter=True)
    adapted = module.adapt_state_dict(original(vit().state_dict()))
    missing = module.load_state_dict(adapted, strict=False).missing_keys
    assert len(missing) > 1
    assert all(".bi_adapter." in key or key == "pos_embed" for key in missing)
