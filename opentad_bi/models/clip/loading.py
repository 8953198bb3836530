"""A CLIP model with its weights, by open_clip: from a file in any form, a folder, or open_clip's own downloads."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from ...ops.digest import weights_digest
from ...registry import nearest
from ...utils.folders import list_folder
from ...utils.logging import LOGGER
from ...utils.weight_files import SUFFIXES, differences, file_form, read_file, split_spec
from .sources import LOCAL_DIR, QUICK, Source, build_module, build_tokenizer, find_source, library, preprocess_of

# entries beyond the weights in OpenAI's files; they tell these from all others
OPENAI_ENTRIES = ("input_resolution", "context_length", "vocab_size")
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
    def embed_dim(self):
        """Width of the joint space of images and texts."""
        return self.source.config["embed_dim"]

    @cached_property
    def tokenizer(self):
        """Texts to int64 (N, context length); built at the first use, as some models' is a download."""
        return build_tokenizer(self.source)

    @cached_property
    def digest(self):
        """SHA-256 of the weights as they were at the first use, as hexadecimal text."""
        return weights_digest(self.module.state_dict())


def load_clip(model, pretrained=None, *, quick_gelu=None):
    """Build a CLIP model and fill it with weights, strictly.

    Args:
        model: a name of `open_clip.list_models()`; "local-dir:DIR", a folder with open_clip_config.json and a file of
            weights; or the path of a JSON file with a configuration.
        pretrained: file of weights, "PATH" or "PATH:KEY" (a state dict of torch, safetensors, OpenAI's TorchScript
            archive, .npz); the name of weights that open_clip downloads for this model; or None for random weights (of
            a folder: for the weights in it).
        quick_gelu: True to run OpenAI's approximate GELU, whatever the configuration says; None: as it says.
    Returns:
        a `CLIPModel`.
    Raises:
        KeyError: an unknown model; names the nearest.
        FileNotFoundError: no such file.
        ValueError: weights that do not fit (all differences are listed) or were made with another GELU, a damaged file,
            an unknown name of weights, a kind of model that is not supported.
        ConnectionError: a download that failed.
    """
    source = find_source(model)
    quick = source.quick_gelu if quick_gelu is None else bool(quick_gelu)
    spec, tag = _find_weights(source, model, pretrained)
    state, needs_quick = ({}, False) if spec is None else _read_state(spec, tag)
    _check_gelu(source, quick, needs_quick, tag=tag, what=pretrained or spec, forced=quick_gelu)
    module = build_module(source, quick)
    if spec is None:
        LOGGER.warning("CLIP model %s has random weights: no pretrained weights were named", model)
    else:
        taken = _fill(module, state, what=spec, model=model)
        LOGGER.info("CLIP model %s: %d tensors from %s, run with %s", model, taken, spec, _gelu(quick))
    module.eval()
    image_size = getattr(module.visual, "image_size", None) or source.config["vision_cfg"].get("image_size", 224)
    cfg = preprocess_of(source, tag, image_size)
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
        raise ValueError(
            f"pretrained {text!r} is a folder; name a file in it, or the folder as the model: {LOCAL_DIR}DIR"
        )
    looks_like_path = path.suffix in SUFFIXES or len(path.parts) > 1
    kind = FileNotFoundError if looks_like_path else ValueError
    raise kind(
        f"pretrained {text!r} is no file{' and none of ' if offered else ''}{offered}; name a file of weights (in "
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


def _read_state(spec, tag):
    """({name: tensor} in a file, whether it was trained with OpenAI's GELU)."""
    state, _, _ = read_file(spec)
    openai = file_form(split_spec(spec)[0]) == "torchscript" or all(name in state for name in OPENAI_ENTRIES)
    return {n: t for n, t in state.items() if n not in OPENAI_ENTRIES}, openai or bool(tag.get("quick_gelu"))


def _check_gelu(source, quick, needed, *, tag, what, forced):
    """ValueError for weights of OpenAI's GELU in a model without it; a word in the log where nothing is known."""
    if needed and not quick:
        twin = f"{source.name}{QUICK}"
        known = source.known and twin in library().list_models()
        cure = f"model {twin!r}" if known else 'a configuration with "quick_gelu": true'
        raise ValueError(
            f"weights {what} were trained with OpenAI's approximate GELU (quick GELU), which model {source.name!r} "
            f"does not run, so that its features would be wrong; take {cure}, or set quick_gelu=True"
        )
    if tag and quick and not needed:
        LOGGER.warning("weights %s of %s were trained with the exact GELU, but run with quick GELU", what, source.name)
    elif what is not None and not tag and not needed and forced is None:
        LOGGER.info("weights %s do not tell their GELU; %s of the configuration is run", what, _gelu(quick))


def _gelu(quick):
    return "quick GELU" if quick else "exact GELU"


@torch.no_grad()
def _fill(module, state, *, what, model):
    """Load a state dict in any layout that open_clip converts; returns the number of tensors taken."""
    own = module.state_dict()
    state = library().convert.convert_state_dict(module, state)
    if "positional_embedding" in state and "positional_embedding" not in own:
        state = library().model.convert_to_custom_text_state_dict(state)
    for name in ("logit_scale", "logit_bias"):
        # a number in some files, an array of one in others
        if name in own and isinstance(state.get(name), torch.Tensor) and state[name].numel() == own[name].numel():
            state[name] = state[name].reshape(own[name].shape)
    text = differences(own, state)
    if text:
        raise ValueError(f"the weights of {what} do not fit CLIP model {model}:{text}")
    module.load_state_dict(state)
    return len(state)
