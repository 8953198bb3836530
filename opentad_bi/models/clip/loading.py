"""A CLIP model with its weights, by open_clip: from a file in any form, a folder, or open_clip's own downloads."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...registry import nearest
from ...utils.files import list_folder
from ...utils.logging import LOGGER
from ...utils.validation import check_finite_weights
from ...utils.weight_files import (
    SUFFIXES,
    adapted,
    differences,
    file_form,
    read_file,
    renamed,
    split_spec,
    weights_digest,
)
from .sources import (
    LOCAL_DIR,
    QUICK,
    Source,
    build_module,
    build_tokenizer,
    find_source,
    gelu_beside,
    library,
    preprocess_of,
)
from .transformers_files import convert_state, is_siglip_state, is_transformers_state

# entries beyond the weights in OpenAI's files; they tell these from all others
OPENAI_ENTRIES = ("input_resolution", "context_length", "vocab_size")
_WRAPPER = re.compile(r"^((module|model|clip|clip_model|model_state_dict|state_dict)\.)+")  # no name of CLIP begins so
_FOLDER_FILES = tuple(
    f"{stem}{suffix}"
    for stem in ("open_clip_model", "open_clip_pytorch_model", "model", "pytorch_model")
    for suffix in (".safetensors", ".bin", ".pth", ".pt")
)


@dataclass(eq=False)
class CLIPModel:
    """A CLIP model in fp32 and eval mode, and what goes with it.

    Args:
        name: the model as it was asked for.
        module: open_clip's `CLIP` or `CustomTextCLIP`.
        source: its shape and where that comes from.
        pretrained: the weights as they were asked for, or None.
        trained: False if the weights are random.
        quick_gelu: True if the towers run OpenAI's approximate GELU (towers of timm have their own).
        preprocess: how frames are prepared, by open_clip's keys: size, mean, std, interpolation, resize_mode, ...
    """

    name: str
    module: nn.Module
    source: Source
    pretrained: str | None
    trained: bool
    quick_gelu: bool
    preprocess: dict

    @property
    def embed_dim(self) -> int:
        """Width of the joint space of images and texts."""
        return self.source.config["embed_dim"]

    @cached_property
    def tokenizer(self) -> Any:
        """Texts to int64 (N, context length); built at the first use, as some models' is a download."""
        return build_tokenizer(self.source)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights as they were at the first use, as hexadecimal text."""
        return weights_digest(self.module.state_dict())


def load_clip(model: str | Path, pretrained: str | Path | None = None, *, quick_gelu: bool | None = None) -> CLIPModel:
    """Build a CLIP model and fill it with weights, strictly.

    Args:
        model: a name of `open_clip.list_models()`; "local-dir:DIR" or "DIR", a folder with open_clip_config.json or
            transformers' config.json and a file of weights; or the path of a JSON file with a configuration.
        pretrained: file of weights, "PATH" or "PATH:KEY" (a state dict of torch, safetensors, OpenAI's TorchScript
            archive, .npz; in the names of open_clip, OpenAI or transformers' `CLIPModel`), or a folder with one; the
            name of weights that open_clip downloads for this model; or None for random weights (of a folder: for the
            weights in it).
        quick_gelu: True to run OpenAI's approximate GELU, whatever the configuration says; False: the exact one; None:
            as it says.
    Raises:
        KeyError: an unknown model; names the nearest.
        FileNotFoundError: no such file.
        ValueError: weights that do not fit (all differences are listed) or were made with another GELU, a damaged file,
            an unknown name of weights, a kind of model that is not supported; NaN or infinite weights; or weights that
            do not say their GELU, for a model that was published with both.
        ConnectionError: a download that failed.
    """
    source = find_source(model)
    quick = source.quick_gelu if quick_gelu is None else bool(quick_gelu)
    spec, tag = _find_weights(source, model, pretrained)
    state, trained_quick = ({}, None) if spec is None else _read_state(source, spec, tag)
    if spec is not None:
        _check_gelu(source, quick, trained_quick, what=pretrained or spec, forced=quick_gelu)
    module = build_module(source, quick)
    if spec is None:
        LOGGER.warning("CLIP model %s has random weights: no pretrained weights were named", model)
    else:
        taken = _fill(module, state, what=spec, model=model)
        LOGGER.info("CLIP model %s: %d tensors from %s, run with %s", model, taken, spec, _gelu(quick))
    module.eval()
    visual: Any = module.visual
    cfg = preprocess_of(source, tag, visual.image_size)
    asked = None if pretrained is None else str(pretrained)
    return CLIPModel(str(model), module, source, asked, spec is not None, quick, cfg)


def _find_weights(source, model, pretrained):
    """(file of weights or None, open_clip's description of weights that were downloaded or {})."""
    if pretrained is None:
        return (_in_folder(source.folder) if source.folder else None), {}
    text = str(pretrained)
    path = Path(split_spec(text)[0])
    if path.is_file():
        return text, {}
    tag = source.tag(text)
    if tag:
        return _download(source, text, tag), tag
    offered = f"open_clip's weights of {model}: {nearest(text, source.tags, every=True)}" if source.tags else ""
    if path.is_dir():
        if inside := _in_folder(path):
            return str(inside), {}
        raise ValueError(
            f"pretrained {text!r} is a folder; name a file in it, or the folder as the model: {LOCAL_DIR}DIR"
        )
    looks_like_path = path.suffix in SUFFIXES or len(path.parts) > 1
    kind = FileNotFoundError if looks_like_path else ValueError
    raise kind(
        f"pretrained {text!r} is not a file{' and none of ' if offered else ''}{offered}; name a file of weights (in "
        "configs clip_pretrained or clip.pretrained), or None for random ones"
    )


def _in_folder(folder):
    """The file of weights in a folder, or None; ValueError if there are several of equal right."""
    files = {path.name: path for path in list_folder(folder) if path.suffix in SUFFIXES}
    usual = next((files[name] for name in _FOLDER_FILES if name in files), None)
    if usual is None and len(files) > 1:
        raise ValueError(f"folder {folder} has several files of weights ({', '.join(files)}); name one as pretrained")
    return usual or next(iter(files.values()), None)


def _download(source, name, tag):
    """Path of the weights `name`, fetched by open_clip unless they are in its cache."""
    LOGGER.info("weights %r of %s are fetched by open_clip, unless they are in its cache", name, source.name)
    try:
        return library().download_pretrained(tag)
    except Exception as error:  # whatever the client of a hub raises
        raise ConnectionError(
            f"weights {name!r} of {source.name} could not be downloaded ({type(error).__name__}: "
            f"{str(error).strip().partition(chr(10))[0]}); fetch the file elsewhere and give its path as pretrained"
        ) from error


def _read_state(source, spec, tag):
    """({name: tensor} of a file in a layout of open_clip, whether it was trained with OpenAI's GELU or None)."""
    state, _, _ = read_file(spec)
    path = Path(split_spec(spec)[0])
    state = renamed(state, lambda name: _WRAPPER.sub("", name), path)
    if file_form(path) == "torchscript" or all(name in state for name in OPENAI_ENTRIES):
        quick = True
    elif tag:
        quick = bool(tag.get("quick_gelu"))
    else:
        beside = gelu_beside(path)
        quick = _gelu_by_name(source, path) if beside is None else beside
    state = {n: t for n, t in state.items() if n not in OPENAI_ENTRIES}
    if is_siglip_state(state):
        raise ValueError(
            f"weights {spec} are those of transformers' SiglipModel; of transformers, CLIPModel alone is read; take "
            "open_clip's own file of that model"
        )
    return (adapted(state, convert_state, spec) if is_transformers_state(state) else state), quick


def _gelu_by_name(source, path):
    """True or False as the name of a file says, by a tag of open_clip such as laion400m_e32; None where it does not."""
    names = [path.name, *(part for part in path.parts if part.startswith("models--"))]  # the latter: a hub's cache
    text = " ".join(names).lower().replace("-", "_")
    if "quickgelu" in text:
        return True
    found = [tag for tag in source.tags if tag.lower().replace("-", "_") in text]
    return bool(source.tag(max(found, key=len)).get("quick_gelu")) if found else None


def _check_gelu(source, quick, trained, *, what, forced):
    """ValueError for weights of OpenAI's GELU in a model without it, or of a GELU that nothing says."""
    quick_name = f"{source.name}{QUICK}"
    both = source.known and quick_name in library().list_models()
    if trained and not quick:
        fix = f"model {quick_name!r}" if both else 'a configuration with "quick_gelu": true'
        raise ValueError(
            f"weights {what} were trained with OpenAI's approximate GELU (quick GELU), which model {source.name!r} "
            f"does not run, so that its features would be wrong; take {fix}, or set quick_gelu=True"
        )
    if trained is None and forced is None:
        if both:
            raise ValueError(
                f"weights {what} do not say their GELU, and models of the shape of {source.name} were published with "
                "both: set quick_gelu=True for OpenAI's approximate one (weights of OpenAI, MetaCLIP, DFN) or "
                "quick_gelu=False for the exact one (LAION, DataComp); in configs that is clip_quick_gelu, of commands "
                "--quick-gelu or --no-quick-gelu"
            )
        LOGGER.info("weights %s do not say their GELU; %s of the configuration is run", what, _gelu(quick))
    elif trained is False and quick:
        LOGGER.warning("weights %s of %s were trained with the exact GELU, but run with quick GELU", what, source.name)


def _gelu(quick):
    return "quick GELU" if quick else "exact GELU"


@torch.no_grad()
def _fill(module, state, *, what, model):
    """Load a state dict in any layout that open_clip converts; returns the number of tensors taken."""
    own = module.state_dict()
    state = adapted(state, lambda given: library().convert.convert_state_dict(module, given), what)
    if "positional_embedding" in state and "positional_embedding" not in own:
        state = library().model.convert_to_custom_text_state_dict(state)
    for name in ("logit_scale", "logit_bias"):
        # a number in some files, an array of one in others
        if name in own and isinstance(state.get(name), torch.Tensor) and state[name].numel() == own[name].numel():
            state[name] = state[name].reshape(own[name].shape)
    text = differences(own, state)
    if text:
        raise ValueError(f"the weights of {what} do not fit CLIP model {model}:{text}")
    check_finite_weights(state, what, own)
    module.load_state_dict(state)
    return len(state)
