"""transformers' files of CLIP (`pytorch_model.bin`, `model.safetensors`, `config.json`) in open_clip's terms."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...utils.files import read_json

CONFIG_FILE, PREPROCESSING_FILE = "config.json", "preprocessor_config.json"
MARKS = ("vision_model.", "text_model.")  # what names of transformers begin with
_TOWERS = {"vision_model.": "visual.", "text_model.": ""}
_NAMES = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # so spelt there
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "logit_scale": "logit_scale",
}
_PROJECTIONS = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}
_LAYER = re.compile(r"(vision_model\.|text_model\.)encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_PARTS = {
    "layer_norm1": "ln_1.",
    "layer_norm2": "ln_2.",
    "mlp.fc1": "mlp.c_fc.",
    "mlp.fc2": "mlp.c_proj.",
    "self_attn.out_proj": "attn.out_proj.",
}
_JOINED = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_IGNORED = re.compile(r"(vision_model|text_model)\.embeddings\.position_ids")
# what a configuration that leaves them out means
_VISION: dict[str, int | str] = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
_VISION |= {"num_attention_heads": 12, "image_size": 224, "num_channels": 3}
_VISION |= {"patch_size": 32, "hidden_act": "quick_gelu"}
_TEXT: dict[str, int | str] = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12}
_TEXT |= {"num_attention_heads": 8, "max_position_embeddings": 77, "vocab_size": 49408, "hidden_act": "quick_gelu"}
_GELUS = {"quick_gelu": True, "gelu": False}
_INTERPOLATION: dict[Any, str] = {2: "bilinear", 3: "bicubic"}


def is_transformers_state(state: dict) -> bool:
    """Do the names of a state dict come from transformers?"""
    return any(name.startswith(MARKS) for name in state)


def is_siglip_state(state: dict) -> bool:
    """Is a state dict that of transformers' `SiglipModel`, whose towers have the same names?"""
    return "vision_model.head.probe" in state


def is_config(content: dict) -> bool:
    """Is a JSON file transformers' configuration of a model of two towers?"""
    return "vision_config" in content or "text_config" in content or content.get("model_type") == "clip"


def convert_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers' `CLIPModel` under open_clip's names.

    Queries, keys and values become one matrix (3 D, D), and projections are transposed. Position numbers are left out;
    names that do not belong to it stay as they are, for a strict load to report.

    Args:
        state: {name: tensor} of `vision_model.*`, `text_model.*`, `visual_projection`, ...
    Returns:
        {name: tensor} of `visual.*`, `transformer.*`, ...
    """
    converted: dict[str, Tensor] = {}
    joined: dict[str, dict[str, str]] = {}
    for name, value in state.items():
        layer = _LAYER.fullmatch(name)
        if layer and layer[3] in _PARTS:
            converted[f"{_block(layer)}{_PARTS[layer[3]]}{layer[4]}"] = value
        elif layer and layer[3] in _JOINED:
            joined.setdefault(f"{_block(layer)}attn.in_proj_{layer[4]}", {})[layer[3]] = name
        elif name in _PROJECTIONS:
            converted[_PROJECTIONS[name]] = value.t()
        elif not _IGNORED.fullmatch(name):
            converted[_NAMES.get(name, name)] = value
    for name, parts in joined.items():
        if len(parts) == len(_JOINED):
            converted[name] = torch.cat([state[parts[part]] for part in _JOINED])
        else:  # reported by their own names
            converted |= {part: state[part] for part in parts.values()}
    return converted


def _block(layer):
    """Name in open_clip of the layer that a name in transformers belongs to."""
    return f"{_TOWERS[layer[1]]}transformer.resblocks.{layer[2]}."


def convert_config(content: dict, path: Path) -> dict:
    """transformers' `config.json` of a `CLIPModel` as a configuration of open_clip.

    Args:
        content: of the file.
        path: the file, for messages.
    Returns:
        keyword arguments of open_clip's `CLIP`: embed_dim, vision_cfg, text_cfg, quick_gelu.
    Raises:
        ValueError: another kind of model, or one that open_clip's CLIP cannot be.
    """
    kind = content.get("model_type", "clip")
    if kind != "clip":
        hint = "; take open_clip's own file of that model" if "siglip" in str(kind) else ""
        raise ValueError(f"{path} describes a model of type {kind!r}; of transformers, CLIPModel alone is read{hint}")
    vision, text = _part(content, "vision", _VISION, path), _part(content, "text", _TEXT, path)
    if vision["num_channels"] != 3:
        raise ValueError(f"{path}: num_channels is {vision['num_channels']}; frames have 3")
    return {
        "embed_dim": _whole(content.get("projection_dim", 512), "projection_dim", path),
        "vision_cfg": {
            **_tower(vision),
            "head_width": vision["hidden_size"] // vision["num_attention_heads"],
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
        },
        "text_cfg": {
            **_tower(text),
            "heads": text["num_attention_heads"],
            "context_length": text["max_position_embeddings"],
            "vocab_size": text["vocab_size"],
        },
        "quick_gelu": gelu_of(content, path),
    }


def gelu_of(content: dict, path: Path) -> bool:
    """True if a `config.json` names OpenAI's approximate GELU, False for the exact one; ValueError for others."""
    found = {_part(content, kind, {"hidden_act": "quick_gelu"}, path)["hidden_act"] for kind in ("vision", "text")}
    if len(found) > 1 or not found <= set(_GELUS):
        raise ValueError(f"{path}: hidden_act of both towers must be one of {', '.join(_GELUS)}; it is {sorted(found)}")
    return _GELUS[found.pop()]


def _part(content, name, defaults, path):
    """Values of a tower: the older spelling of the key wins where both are there, as in transformers."""
    found = dict(defaults)
    for key in (f"{name}_config", f"{name}_config_dict"):
        more = content.get(key) or {}
        if not isinstance(more, dict):
            raise ValueError(f"{path}: {key} must be a dict, not {more!r}")
        found |= {k: v for k, v in more.items() if k in {**defaults, "layer_norm_eps": 0}}
    for key, value in found.items():
        if key not in ("hidden_act", "layer_norm_eps"):
            _whole(value, f"{name}_config.{key}", path)
    return found


def _whole(value, key, path):
    if type(value) is not int or value <= 0:
        raise ValueError(f"{path}: {key} must be a whole number, not {value!r}")
    return value


def _tower(part):
    """What both towers are described by."""
    epsilon = part.get("layer_norm_eps", 1e-5)
    return {
        "width": part["hidden_size"],
        "layers": part["num_hidden_layers"],
        "mlp_ratio": part["intermediate_size"] / part["hidden_size"],
        **({"norm_kwargs": {"eps": epsilon}} if epsilon != 1e-5 else {}),
    }


def preprocessing(folder: Path) -> dict:
    """What `preprocessor_config.json` in a folder says of frames, by open_clip's keys; {} without the file."""
    path = Path(folder) / PREPROCESSING_FILE
    if not path.is_file():
        return {}
    content = read_json(path, "preprocessing of a CLIP model")
    content = content if isinstance(content, dict) else {}
    found = {"mean": content.get("image_mean"), "std": content.get("image_std")}
    found["interpolation"] = _INTERPOLATION.get(content.get("resample"))
    return {key: value for key, value in found.items() if value}
