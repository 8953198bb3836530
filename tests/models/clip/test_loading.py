"""Weights of CLIP models: every form of file fills the same network, and what does not fit is said."""

import json
import logging
import warnings

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from opentad_bi.models.clip import sources
from opentad_bi.models.clip.loading import OPENAI_ENTRIES, load_clip
from opentad_bi.utils.weight_files import weights_digest

CUSTOM_PREFIXES = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")


class Tree(nn.Module):
    """A module without a forward pass whose state dict has given dotted names."""

    def __init__(self, state):
        super().__init__()
        for name, tensor in state.items():
            place, leaf = self, name.rpartition(".")[2]
            for part in name.split(".")[:-1]:
                if part not in dict(place.named_children()):
                    place.add_module(part, nn.Module())
                place = place.get_submodule(part)
            place.register_buffer(leaf, tensor)

    def forward(self, x: torch.Tensor):
        return x


def save_archive(state, path):
    """A TorchScript archive whose state dict is `state`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Tree(state)).save(str(path))


def scalars(state):
    """As OpenAI's archives have them, beside the weights."""
    return {
        **state,
        **{name: torch.tensor(number) for name, number in zip(OPENAI_ENTRIES, (32, 77, 49408), strict=True)},
    }


def write_npz(state, path):
    np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})


FORMS = {
    "plain.pt": torch.save,
    "nested.pt": lambda state, path: torch.save({"epoch": 3, "state_dict": state}, path),
    "parallel.pt": lambda state, path: torch.save({f"module.{n}": t for n, t in state.items()}, path),
    "both.pt": lambda state, path: torch.save({"state_dict": {f"module.{n}": t for n, t in state.items()}}, path),
    "flat.safetensors": save_file,
    "arrays.npz": write_npz,
}


@pytest.fixture(scope="module")
def trained(tiny_json):
    """A model whose weights stand for trained ones, and its answers to one image and two texts."""
    torch.manual_seed(11)
    return load_clip(tiny_json)


@pytest.fixture(scope="module")
def state(trained):
    return {name: tensor.clone() for name, tensor in trained.module.state_dict().items()}


def answers(clip):
    torch.manual_seed(0)
    with torch.no_grad():
        texts = clip.tokenizer(["a quiet street", "a fight"])
        return clip.module.encode_image(torch.randn(2, 3, 32, 32)), clip.module.encode_text(texts)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(answers(a), answers(b), strict=True))


def test_random_weights_are_said_to_be_random(tiny_json, caplog):
    torch.manual_seed(5)
    with caplog.at_level(logging.WARNING, "opentad_bi"):
        clip = load_clip(tiny_json)
    assert "has random weights" in caplog.text
    assert not clip.trained and clip.pretrained is None and clip.name == str(tiny_json)
    assert clip.embed_dim == 32 and not clip.module.training
    assert clip.tokenizer(["a"]).shape == (1, 77)
    torch.manual_seed(5)
    again = load_clip(str(tiny_json))
    assert same(clip, again) and clip.digest == again.digest
    assert load_clip(tiny_json).digest != clip.digest


@pytest.mark.parametrize("name", FORMS)
def test_every_form_fills_the_same_network(name, trained, state, tiny_json, tmp_path, monkeypatch):
    FORMS[name](state, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, name):
        clip = load_clip(tiny_json, path)
        assert clip.trained and clip.pretrained == str(path)
        assert same(clip, trained) and clip.digest == trained.digest


def test_a_key_of_a_file_can_be_named(trained, state, tiny_json, tmp_path):
    other = {name: tensor + 1 for name, tensor in state.items()}
    torch.save({"state_dict": other, "mine": state}, tmp_path / "w.pt")
    assert load_clip(tiny_json, f"{tmp_path / 'w.pt'}:mine").digest == trained.digest
    assert load_clip(tiny_json, tmp_path / "w.pt").digest == weights_digest(other)
    with pytest.raises(KeyError, match="no weights under 'mime'; did you mean 'mine'"):
        load_clip(tiny_json, f"{tmp_path / 'w.pt'}:mime")


def test_half_precision_becomes_single(state, tiny_json, tmp_path):
    save_file({name: tensor.half() for name, tensor in state.items()}, tmp_path / "half.safetensors")
    clip = load_clip(tiny_json, tmp_path / "half.safetensors")
    own = clip.module.state_dict()
    assert {tensor.dtype for tensor in own.values()} == {torch.float32}
    assert all(torch.equal(own[name], state[name].half().float()) for name in state)


def test_the_archive_of_openai_loads_with_its_own_gelu(state, tiny_json, tmp_path):
    save_archive(scalars(state), tmp_path / "openai.pt")
    clip = load_clip(tiny_json, tmp_path / "openai.pt", quick_gelu=True)
    torch.save(state, tmp_path / "plain.pt")
    plain = load_clip(tiny_json, tmp_path / "plain.pt", quick_gelu=True)
    assert clip.quick_gelu and same(clip, plain) and clip.digest == plain.digest


@pytest.mark.parametrize("form", ["archive", "archive alone", "state dict"])
def test_openai_weights_without_quick_gelu_are_refused(form, state, tiny_json, tmp_path):
    path = tmp_path / "openai.pt"
    if form == "state dict":
        torch.save(scalars(state), path)
    else:
        save_archive(scalars(state) if form == "archive" else state, path)
    for forced in (None, False):
        with pytest.raises(ValueError, match=r"approximate GELU.*\"quick_gelu\": true, or set quick_gelu=True"):
            load_clip(tiny_json, path, quick_gelu=forced)
    quick = tmp_path / "quick.json"
    quick.write_text(json.dumps({**json.loads(tiny_json.read_text()), "quick_gelu": True}))
    clip = load_clip(quick, path)
    assert clip.quick_gelu and same(clip, load_clip(tiny_json, path, quick_gelu=True))
    assert not same(clip, load_clip(quick, path_of(state, tmp_path), quick_gelu=False))


def path_of(state, folder):
    torch.save(state, folder / "plain.pt")
    return folder / "plain.pt"


def test_openai_weights_name_the_twin_of_a_listed_model(state, tmp_path):
    torch.save(scalars(state), tmp_path / "openai.pt")
    with pytest.raises(ValueError, match="take model 'ViT-B-16-quickgelu', or set quick_gelu=True"):
        load_clip("ViT-B/16", tmp_path / "openai.pt")


def test_which_gelu_runs_is_said_where_the_file_does_not_tell(state, tiny_json, tmp_path, caplog):
    path = path_of(state, tmp_path)
    with caplog.at_level(logging.INFO, "opentad_bi"):
        exact = load_clip(tiny_json, path)
    assert "do not say their GELU; exact GELU of the configuration is run" in caplog.text
    quick = load_clip(tiny_json, path, quick_gelu=True)
    assert quick.digest == exact.digest and not same(quick, exact)


@pytest.fixture
def offered(monkeypatch, state, tiny_json, tmp_path):
    """The tiny model in open_clip's list, as "ViT-B-32", with weights that "download" to a file; returns the path."""
    config = json.loads(tiny_json.read_text())
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: {**config, "quick_gelu": "quick" in name})
    path = path_of(state, tmp_path)
    monkeypatch.setattr(open_clip, "download_pretrained", lambda tag: str(path))
    return path


def test_weights_by_name_are_those_that_open_clip_fetches(offered, trained):
    clip = load_clip("ViT-B-32", "laion2b-s34b-b79k")
    assert clip.digest == trained.digest and clip.trained and clip.preprocess["size"] == 32
    with pytest.raises(ValueError, match="take model 'ViT-B-32-quickgelu'"):
        load_clip("ViT-B-32", "openai")
    assert load_clip("ViT-B-32", "openai", quick_gelu=True).quick_gelu
    assert load_clip("ViT-B-32-quickgelu", "openai").quick_gelu


def test_a_mismatch_the_other_way_is_a_warning(offered, caplog):
    with caplog.at_level(logging.WARNING, "opentad_bi"):
        assert load_clip("ViT-B-32", "laion2b_s34b_b79k", quick_gelu=True).quick_gelu
    assert "were trained with the exact GELU" in caplog.text


def test_a_failed_download_says_that_a_path_will_do(monkeypatch):
    def fails(tag):
        raise RuntimeError("no route\nto host")

    monkeypatch.setattr(open_clip, "download_pretrained", fails)
    with pytest.raises(ConnectionError, match=r"'openai' of ViT-B-32-quickgelu could not.*no route\); .*give its path"):
        load_clip("ViT-B-32-quickgelu", "openai")


@pytest.mark.parametrize(
    ("pretrained", "kind", "text"),
    [
        (
            "opanai",
            ValueError,
            r"'opanai' is not a file and none of open_clip's weights of ViT-B-32.*mean 'openai'\? \(all",
        ),
        ("w/none.pt", FileNotFoundError, r"none.pt' is not a file and none of .*laion2b_s34b_b79k"),
        (".", ValueError, r"is a folder; .*local-dir:DIR"),
    ],
)
def test_unknown_weights_are_told_with_those_that_there_are(pretrained, kind, text):
    with pytest.raises(kind, match=text):
        load_clip("ViT-B-32", pretrained)


def test_unknown_models_are_told_with_the_nearest(tmp_path):
    with pytest.raises(KeyError, match="did you mean 'ViT-B-16'"):
        load_clip("ViT-B16")
    with pytest.raises(FileNotFoundError, match=r"none\.json does not exist"):
        load_clip(tmp_path / "none.json")
    with pytest.raises(ValueError, match="nothing is fetched by name"):
        load_clip("hf-hub:someone/some-clip")
    (tmp_path / "some.json").write_text('{"embed_dim": 32, "vision_cfg": {}}')
    with pytest.raises(ValueError, match=r"some\.json is not a configuration of a CLIP model: text_cfg missing"):
        load_clip(tmp_path / "some.json")


def test_a_configuration_with_unknown_keys_is_named(tiny_json, tmp_path):
    config = json.loads(tiny_json.read_text())
    config["vision_cfg"]["layres"] = 2
    (tmp_path / "odd.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"odd\.json' cannot be built by open_clip: .*layres"):
        load_clip(tmp_path / "odd.json")


@pytest.mark.parametrize("name", ["coca_ViT-B-32", "roberta-ViT-B-32", "xlm-roberta-base-ViT-B-32"])
def test_kinds_that_cannot_be_prompted_are_refused(name):
    with pytest.raises(ValueError, match=r"not supported; supported are open_clip's CLIP and CustomTextCLIP"):
        load_clip(name)


def damage(state, how):
    if how == "missing":
        return {name: tensor for name, tensor in state.items() if name != "ln_final.bias"}
    if how == "extra":
        return {**state, "visual.adapter.weight": torch.ones(2)}
    if how == "shape":
        return {**state, "visual.positional_embedding": torch.ones(10, 64)}
    return {"epoch": 3, "optimizer": {"lr": 0.1}}


DAMAGE = {
    "missing": r"missing in the file \(1\): ln_final\.bias",
    "extra": r"unknown to the network \(1\): visual\.adapter\.weight",
    "shape": r"other shapes \(1\): visual\.positional_embedding: file \(10, 64\), network \(5, 64\)",
    "no weights": r"unknown to the network \(2\): epoch, optimizer",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_every_difference_is_listed(how, state, tiny_json, tmp_path):
    torch.save(damage(state, how), tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"(?s)w\.pt do not fit CLIP model .*tiny\.json:.*" + DAMAGE[how]):
        load_clip(tiny_json, tmp_path / "w.pt")


def test_weights_of_another_tower_do_not_fit(state, tiny_json, tmp_path):
    config = json.loads(tiny_json.read_text())
    config["vision_cfg"]["layers"] = 3
    (tmp_path / "deeper.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"missing in the file \(12\): visual\.transformer\.resblocks\.2"):
        load_clip(tmp_path / "deeper.json", path_of(state, tmp_path))


@pytest.mark.parametrize("name", ["plain.pt", "flat.safetensors", "arrays.npz"])
def test_a_damaged_file_is_named(name, state, tiny_json, tmp_path):
    FORMS[name](state, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"{name} is damaged or not a"):
        load_clip(tiny_json, tmp_path / name)


def test_the_flat_layout_fills_the_nested_one(state, tiny_custom_json, tmp_path):
    clip = load_clip(tiny_custom_json, path_of(state, tmp_path))
    assert isinstance(clip.module, open_clip.CustomTextCLIP)
    own = clip.module.state_dict()
    names = {name: f"text.{name}" if name.startswith(CUSTOM_PREFIXES) else name for name in state}
    assert own.keys() == set(names.values())
    assert all(torch.equal(own[names[name]], tensor) for name, tensor in state.items())


def test_a_scale_may_be_a_number_or_an_array_of_one(trained, state, tiny_json, tmp_path):
    torch.save({**state, "logit_scale": state["logit_scale"][None]}, tmp_path / "w.pt")
    assert load_clip(tiny_json, tmp_path / "w.pt").digest == trained.digest


def folder_of(tiny_json, folder, **around):
    config = {"model_cfg": json.loads(tiny_json.read_text()), **around}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def test_a_folder_holds_configuration_and_weights(trained, state, tiny_json, tmp_path):
    name = folder_of(tiny_json, tmp_path, preprocess_cfg={"mean": [0.5] * 3, "resize_mode": "squash"})
    assert not load_clip(name).trained
    save_file(state, tmp_path / "open_clip_model.safetensors")
    torch.save({"other": torch.ones(1)}, tmp_path / "another.pth")
    clip = load_clip(name)
    assert clip.trained and same(clip, trained)
    assert clip.preprocess["mean"] == [0.5] * 3 and clip.preprocess["resize_mode"] == "squash"
    (tmp_path / "open_clip_model.safetensors").rename(tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match=r"several files of weights \(another\.pth, b\.safetensors\)"):
        load_clip(name)
    assert same(load_clip(name, tmp_path / "b.safetensors"), trained)


def test_an_empty_or_missing_folder_is_named(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileNotFoundError, match=r"open_clip_config\.json does not exist"):
            load_clip(f"local-dir:{folder}")


@pytest.mark.parametrize("length", [77, 20])
def test_the_tokenizer_keeps_to_the_context(length, tiny_json, tmp_path):
    config = json.loads(tiny_json.read_text())
    config["text_cfg"]["context_length"] = length
    (tmp_path / "short.json").write_text(json.dumps(config))
    clip = load_clip(tmp_path / "short.json")
    assert clip.tokenizer(["word " * 100]).shape == (1, length)
    assert clip.module.encode_text(clip.tokenizer(["a man runs"])).shape == (1, 32)


def test_nothing_is_added_to_the_list_of_open_clip(tiny_json):
    before = open_clip.list_models()
    load_clip(tiny_json)
    assert open_clip.list_models() == before


@pytest.mark.parametrize(
    ("model", "mean", "interpolation", "mode"),
    [
        ("ViT-B-16", 0.48145466, "bicubic", "shortest"),
        ("MobileCLIP2-S0", 0.0, "bilinear", "shortest"),
        ("ViT-B-16-SigLIP-256", 0.5, "bicubic", "squash"),
        ("ViT-L-14", 0.48145466, "bicubic", "shortest"),  # its weights differ in this
    ],
)
def test_a_file_is_given_the_preprocessing_of_its_model(model, mean, interpolation, mode):
    cfg = sources.preprocess_of(sources.find_source(model), {}, (224, 224))
    assert (cfg["size"], cfg["mean"][0], cfg["interpolation"], cfg["resize_mode"]) == (224, mean, interpolation, mode)
