"""Where a CLIP model's shape comes from: open_clip's list of names, a folder, or a JSON file of one's own."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ...errors import require
from ...registry import nearest
from ...utils.files import read_json
from ...utils.logging import LOGGER
from . import transformers_files

LOCAL_DIR, HUB = "local-dir:", "hf-hub:"
CONFIG_FILE = "open_clip_config.json"
QUICK = "-quickgelu"
_CLIP_KEYS = ("embed_dim", "vision_cfg", "text_cfg")
_SUPPORTED = (
    "supported are open_clip's CLIP and CustomTextCLIP models with a text transformer of open_clip's own, "
    "such as ViT-B-16, ViT-L-14-336, MobileCLIP2-S0 or EVA02-B-16"
)


def library() -> Any:
    """open_clip, imported at its first use: it takes longer to import than a small detector to build."""
    return require("open_clip", "open_clip_torch")


@dataclass(frozen=True)
class Source:
    """Shape and preprocessing of a model, without weights.

    Args:
        name: open_clip's name of the model, or the file or folder it was read from.
        config: keyword arguments of open_clip's model class, and `custom_text`.
        known: True for a model of open_clip's list, to which its tags apply.
        folder: folder that was named by local-dir:, or None.
        preprocess: what the configuration says of preprocessing, by open_clip's keys.
    """

    name: str
    config: dict
    known: bool = False
    folder: Path | None = None
    preprocess: dict = field(default_factory=dict)

    @property
    def quick_gelu(self) -> bool:
        """True if the configuration has OpenAI's approximate GELU."""
        return bool(self.config.get("quick_gelu"))

    @property
    def tags(self) -> list[str]:
        """Names of the weights that open_clip can download for this model."""
        return library().list_pretrained_tags_by_model(self.name) if self.known else []

    def tag(self, name: str) -> dict:
        """open_clip's description of the weights of that name (mean, std, quick_gelu, ...); {} for an unknown one."""
        return dict(library().get_pretrained_cfg(self.name, name)) if self.known else {}


def find_source(model: str | Path) -> Source:
    """The source named by `model`: a name of open_clip's list, "local-dir:DIR", a folder, or the path of a JSON file.

    The folder and the file may be open_clip's or transformers' (`config.json` of a `CLIPModel`).

    Raises:
        FileNotFoundError: no such file or folder.
        KeyError: an unknown name.
        ValueError: a file of another kind, or a kind of model that is not supported.
    """
    text = str(model)
    if text.startswith(HUB):
        raise ValueError(f"model {text!r}: fetch that folder and name it as {LOCAL_DIR}DIR; nothing is fetched by name")
    if text.startswith(LOCAL_DIR) or config_in(Path(text)):
        folder = Path(text.removeprefix(LOCAL_DIR))
        source = _from_file(config_in(folder) or folder / CONFIG_FILE, f"{LOCAL_DIR}{folder}", folder)
    elif Path(text).suffix == ".json" or Path(text).is_file():
        source = _from_file(Path(text), text, None)
    else:
        name, names = text.replace("/", "-"), library().list_models()
        if name not in names:
            raise KeyError(f"no CLIP model is called {text!r}; {nearest(name, names)}")
        source = Source(name, library().get_model_config(name), known=True)
    _check_kind(source)
    return source


def config_in(folder: str | Path) -> Path | None:
    """The configuration of a CLIP model in a folder, open_clip's or transformers'; None without one."""
    files = (Path(folder) / name for name in (CONFIG_FILE, transformers_files.CONFIG_FILE))
    return next((path for path in files if path.is_file()), None)


def gelu_beside(path: str | Path) -> bool | None:
    """Whether a configuration beside a file of weights has OpenAI's GELU (True) or the exact one; None without any."""
    config = config_in(Path(path).parent)
    content = read_json(config, "CLIP model configuration") if config else None
    if config is None or not isinstance(content, dict):
        return None
    if transformers_files.is_config(content):
        return transformers_files.gelu_of(content, config)
    model = content.get("model_cfg", content)
    named = isinstance(model, dict) and all(key in model for key in _CLIP_KEYS)
    return bool(model.get("quick_gelu")) if named else None


def _from_file(path, name, folder):
    """The source in a JSON file: open_clip's, with or without {"model_cfg", "preprocess_cfg"}, or transformers'."""
    content = read_json(path, "CLIP model configuration")
    if isinstance(content, dict) and transformers_files.is_config(content):
        preprocess = transformers_files.preprocessing(path.parent)
        return Source(name, transformers_files.convert_config(content, path), folder=folder, preprocess=preprocess)
    config = content.get("model_cfg", content) if isinstance(content, dict) else {}
    missing = [key for key in _CLIP_KEYS if not isinstance(config.get(key), dict if key != "embed_dim" else int)]
    if missing:
        raise ValueError(f"{path} is not a configuration of a CLIP model: {', '.join(missing)} missing")
    return Source(name, deepcopy(config), folder=folder, preprocess=content.get("preprocess_cfg") or {})


def _check_kind(source):
    """ValueError for kinds of models whose text tower cannot be run on embeddings here."""
    text = source.config["text_cfg"]
    kinds = {
        "CoCa (it has a text decoder)": "multimodal_cfg" in source.config,
        "of CoCa's kind (its text tower appends a class token)": bool(text.get("embed_cls")),
        f"one with a text tower of transformers, {text.get('hf_model_name')}": bool(text.get("hf_model_name")),
    }
    for kind, true in kinds.items():
        if true:
            raise ValueError(f"model {source.name!r} is {kind}, which is not supported; {_SUPPORTED}")


def build_module(source: Source, quick_gelu: bool) -> nn.Module:
    """A new network of that shape, fp32, with random weights (initialised by torch's global generator).

    Raises:
        ValueError: the configuration has keys or values that open_clip does not take.
    """
    config = {**deepcopy(source.config), "quick_gelu": quick_gelu}
    cls = library().CustomTextCLIP if config.pop("custom_text", False) else library().CLIP
    if config["vision_cfg"].get("timm_model_name"):
        # never fetch weights of the bare image tower
        config["vision_cfg"]["timm_model_pretrained"] = False
    try:
        return cls(**config)
    except (TypeError, ValueError, RuntimeError, AssertionError, ArithmeticError) as error:
        raise ValueError(f"model {source.name!r} cannot be built by open_clip: {error}") from error


def build_tokenizer(source: Source) -> Any:
    """The tokenizer that goes with the model.

    Raises:
        ValueError: a tokenizer whose files are not there.
    """
    text = source.config["text_cfg"]
    length = text.get("context_length", 77)
    options = dict(text.get("tokenizer_kwargs") or {})
    if text.get("hf_tokenizer_name"):
        _check_packages(source.name, text["hf_tokenizer_name"])
    try:
        if source.known or (source.folder and (source.folder / CONFIG_FILE).is_file()):
            return library().get_tokenizer(source.name)
        if text.get("hf_tokenizer_name"):
            return library().tokenizer.HFTokenizer(text["hf_tokenizer_name"], context_length=length, **options)
        tokenizer = library().SimpleTokenizer(context_length=length, **options)
    except (ImportError, OSError, RuntimeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"the tokenizer of model {source.name!r} ({text.get('hf_tokenizer_name', 'of open_clip')}) cannot be "
            f"loaded: {error}; put its files into a folder with {CONFIG_FILE} and name that as {LOCAL_DIR}DIR"
        ) from error
    if tokenizer.vocab_size > text.get("vocab_size", 49408):
        raise ValueError(
            f"model {source.name!r} has a vocabulary of {text['vocab_size']} tokens, but CLIP's own tokenizer, the one "
            f"known for it, has {tokenizer.vocab_size}"
        )
    return tokenizer


def _check_packages(name, tokenizer):
    """ImportError, in one line, where packages that tokenizers of transformers need are not installed."""
    install = "transformers sentencepiece protobuf"
    try:
        for package in ("transformers", "sentencepiece", "google.protobuf"):
            require(package, install)
    except ImportError as error:
        raise ImportError(f"the tokenizer of model {name!r} ({tokenizer}): {error}") from error


def preprocess_of(source: Source, tag: Mapping[str, Any], image_size: int | tuple[int, int]) -> dict:
    """open_clip's preprocessing of frames: size, mean, std, interpolation, resize_mode, fill_color.

    Weights that come as a file do not say how frames were prepared. They get what all weights known for the model
    agree on, which matters for models such as MobileCLIP and SigLIP, and else CLIP's own.

    Args:
        tag: description of the weights (`Source.tag`); {} for a file.
        image_size: size of the frames that the image tower takes.
    """
    transform = library().transform
    default = asdict(transform.PreprocessCfg())
    known = [transform.merge_preprocess_dict(default, source.tag(name)) for name in source.tags]
    if tag:
        cfg = transform.merge_preprocess_dict(default, tag)
    elif known and all(cfg == known[0] for cfg in known):
        cfg = known[0]
    else:
        cfg = default
        if known:
            LOGGER.warning("weights of %s differ in how frames are prepared; CLIP's own way is taken", source.name)
    cfg = transform.merge_preprocess_dict(cfg, source.preprocess)
    size = image_size[0] if isinstance(image_size, (tuple, list)) and len(set(image_size)) == 1 else image_size
    return {**cfg, "size": size}
