"""transformers' files of CLIP fill open_clip's towers: the same logits in whatever form, folder or wrapper they are."""

import json

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from opentad_bi.models.clip import sources
from opentad_bi.models.clip.loading import load_clip
from opentad_bi.models.clip.transformers_files import convert_config, convert_state

# what transformers calls the tensors of a model of one layer a tower, written out
BLOCK = [
    f"{part}.{kind}"
    for part in (
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.q_proj",
        "self_attn.out_proj",
        "layer_norm1",
        "mlp.fc1",
        "mlp.fc2",
        "layer_norm2",
    )
    for kind in ("weight", "bias")
]
NAMES = [
    "logit_scale",
    "text_model.embeddings.token_embedding.weight",
    "text_model.embeddings.position_embedding.weight",
    *(f"text_model.encoder.layers.{i}.{name}" for i in (0, 1) for name in BLOCK),
    "text_model.final_layer_norm.weight",
    "text_model.final_layer_norm.bias",
    "vision_model.embeddings.class_embedding",
    "vision_model.embeddings.patch_embedding.weight",
    "vision_model.embeddings.position_embedding.weight",
    "vision_model.pre_layrnorm.weight",
    "vision_model.pre_layrnorm.bias",
    *(f"vision_model.encoder.layers.{i}.{name}" for i in (0, 1) for name in BLOCK),
    "vision_model.post_layernorm.weight",
    "vision_model.post_layernorm.bias",
    "visual_projection.weight",
    "text_projection.weight",
]
CONFIG = {
    "architectures": ["CLIPModel"],
    "model_type": "clip",
    "projection_dim": 32,
    "text_config": {
        "hidden_size": 48,
        "intermediate_size": 192,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "model_type": "clip_text_model",
    },
    "vision_config": {
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "image_size": 32,
        "patch_size": 16,
    },
}
PREFIXES = ("model.", "clip_model.", "clip.", "module.", "_orig_mod.", "module.module.", "model_state_dict.")
PREFIXES += ("module.model.clip_model._orig_mod.",)
IDS = {f"{tower}_model.embeddings.position_ids": torch.arange(n)[None] for tower, n in (("text", 77), ("vision", 5))}


def as_transformers(state):
    """open_clip's state dict in transformers' layout: the layout's facts the other way round."""
    new = {
        "logit_scale": state["logit_scale"],
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "visual_projection.weight": state["visual.proj"].T,
        "text_projection.weight": state["text_projection"].T,
    }
    for kind in ("weight", "bias"):
        new[f"vision_model.pre_layrnorm.{kind}"] = state[f"visual.ln_pre.{kind}"]
        new[f"vision_model.post_layernorm.{kind}"] = state[f"visual.ln_post.{kind}"]
        new[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
        for theirs, ours in (("text_model", ""), ("vision_model", "visual.")):
            for i in (0, 1):
                layer, block = f"{theirs}.encoder.layers.{i}", f"{ours}transformer.resblocks.{i}"
                q, k, v = state[f"{block}.attn.in_proj_{kind}"].chunk(3)
                new[f"{layer}.self_attn.q_proj.{kind}"] = q
                new[f"{layer}.self_attn.k_proj.{kind}"] = k
                new[f"{layer}.self_attn.v_proj.{kind}"] = v
                new[f"{layer}.self_attn.out_proj.{kind}"] = state[f"{block}.attn.out_proj.{kind}"]
                new[f"{layer}.layer_norm1.{kind}"] = state[f"{block}.ln_1.{kind}"]
                new[f"{layer}.layer_norm2.{kind}"] = state[f"{block}.ln_2.{kind}"]
                new[f"{layer}.mlp.fc1.{kind}"] = state[f"{block}.mlp.c_fc.{kind}"]
                new[f"{layer}.mlp.fc2.{kind}"] = state[f"{block}.mlp.c_proj.{kind}"]
    return {name: tensor.clone().contiguous() for name, tensor in new.items()}


@pytest.fixture(scope="module")
def model(tiny_json):
    """open_clip's own model of the tiny shape, with OpenAI's GELU and random weights everywhere."""
    torch.manual_seed(2)
    model = open_clip.CLIP(**json.loads(tiny_json.read_text()), quick_gelu=True).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def state(model):
    return as_transformers(model.state_dict())


@torch.no_grad()
def logits(module, tokenizer):
    torch.manual_seed(0)
    images, texts = torch.randn(3, 3, 32, 32), tokenizer(["a quiet street", "a fight"])
    images, texts = module.encode_image(images, normalize=True), module.encode_text(texts, normalize=True)
    return module.logit_scale.exp() * images @ texts.T


def assert_is(clip, model):
    assert clip.quick_gelu and clip.trained
    assert torch.equal(logits(clip.module, clip.tokenizer), logits(model, open_clip.SimpleTokenizer()))


def write_config(folder, **changes):
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    return folder


def test_the_names_are_those_of_transformers(state):
    assert sorted(state) == sorted(NAMES)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_a_folder_gives_the_logits_of_open_clip(name, model, state, tmp_path):
    (save_file if "safe" in name else torch.save)({**state, **IDS}, write_config(tmp_path) / name)
    for place in (f"local-dir:{tmp_path}", str(tmp_path)):
        clip = load_clip(place)
        assert_is(clip, model)
    assert clip.embed_dim == 32 and clip.preprocess["size"] == 32
    assert clip.tokenizer(["a"]).shape == (1, 77)


def test_the_file_fills_a_model_of_open_clips_own_configuration(model, state, tiny_json, tiny_custom_json, tmp_path):
    torch.save(state, write_config(tmp_path) / "pytorch_model.bin")
    for pretrained in (tmp_path / "pytorch_model.bin", tmp_path):  # a file, or the folder with it
        assert_is(load_clip(tiny_json, pretrained, quick_gelu=True), model)
        with pytest.raises(ValueError, match=r"approximate GELU.*or set quick_gelu=True"):  # config.json says so
            load_clip(tiny_json, pretrained)
    assert_is(load_clip(tmp_path / "config.json", tmp_path / "pytorch_model.bin"), model)
    custom = load_clip(tiny_custom_json, tmp_path / "pytorch_model.bin", quick_gelu=True)
    assert torch.equal(custom.module.text.text_projection, model.text_projection)


@pytest.mark.parametrize("layout", ["transformers", "open_clip"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_names_of_wrappers_are_dropped(layout, prefix, model, state, tiny_json, tmp_path):
    own = state if layout == "transformers" else model.state_dict()
    torch.save({"model_state_dict": {f"{prefix}{name}": tensor for name, tensor in own.items()}}, tmp_path / "w.pt")
    assert_is(load_clip(tiny_json, tmp_path / "w.pt", quick_gelu=True), model)


def test_dicts_within_dicts_are_looked_into_and_weights_that_are_there_twice_are_an_error(model, tiny_json, tmp_path):
    own = dict(model.state_dict())
    torch.save({"model": {"state_dict": own, "epoch": 3}}, tmp_path / "w.pt")
    assert_is(load_clip(tiny_json, tmp_path / "w.pt", quick_gelu=True), model)
    torch.save({**own, "model.logit_scale": own["logit_scale"] + 1}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"w\.pt holds weights twice.*logit_scale"):
        load_clip(tiny_json, tmp_path / "w.pt", quick_gelu=True)


@pytest.mark.parametrize("drop", ["text_model.encoder.layers.1.self_attn.k_proj.bias", "visual_projection.weight"])
def test_what_is_missing_is_listed(drop, state, tmp_path):
    torch.save({name: tensor for name, tensor in state.items() if name != drop}, write_config(tmp_path) / "w.bin")
    with pytest.raises(ValueError, match=r"(?s)w\.bin do not fit CLIP model .*missing in the file \(1\)"):
        load_clip(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(value, state, tmp_path):
    wrong = {name: tensor.clone() for name, tensor in state.items()}
    wrong["vision_model.embeddings.class_embedding"][3] = value
    torch.save(wrong, write_config(tmp_path) / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin are not finite: .*visual\.class_embedding"):
        load_clip(tmp_path)


SHAPES = {  # of OpenAI's models; their config.json name some of the numbers, and leave others to the defaults
    "ViT-B-32-quickgelu": {"projection_dim": 512},
    "ViT-B-16-quickgelu": {"projection_dim": 512, "vision_config": {"patch_size": 16}},
    "ViT-L-14-quickgelu": {
        "projection_dim": 768,
        "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
        "vision_config": {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
            "patch_size": 14,
        },
    },
}


@pytest.mark.parametrize("name", SHAPES)
def test_config_json_gives_the_shape_of_open_clips_model_of_that_name(name, tmp_path):
    config = {"model_type": "clip", "text_config": {}, "vision_config": {}, **SHAPES[name]}
    ours = convert_config(config, tmp_path / "config.json")
    with torch.device("meta"):
        found, expected = (open_clip.CLIP(**c) for c in (ours, open_clip.get_model_config(name)))
    shapes = [{n: t.shape for n, t in m.state_dict().items()} for m in (found, expected)]
    assert shapes[0] == shapes[1] and found.visual.image_size == expected.visual.image_size
    blocks = [
        [b for b in m.modules() if isinstance(b, open_clip.transformer.ResidualAttentionBlock)]
        for m in (found, expected)
    ]
    for one, other in zip(*blocks, strict=True):
        assert one.attn.num_heads == other.attn.num_heads and type(one.mlp.gelu) is type(other.mlp.gelu)


def test_the_exact_gelu_epsilon_and_preprocessing_are_taken(state, tmp_path):
    towers = {
        key: {**CONFIG[key], "hidden_act": "gelu", "layer_norm_eps": 1e-4} for key in ("text_config", "vision_config")
    }
    torch.save(state, write_config(tmp_path, **towers) / "pytorch_model.bin")
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2] * 3, "resample": 2, "size": 224})
    )
    clip = load_clip(tmp_path)
    assert not clip.quick_gelu and clip.module.ln_final.eps == clip.module.visual.ln_pre.eps == 1e-4
    assert (clip.preprocess["mean"], clip.preprocess["interpolation"]) == ([0.5, 0.4, 0.3], "bilinear")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "siglip"}, "of type 'siglip'; of transformers, CLIPModel alone is read; take open_clip's own"),
        ({"text_config": {"hidden_act": "gelu"}}, r"hidden_act of both towers .* it is \['gelu', 'quick_gelu'\]"),
        ({"projection_dim": "512"}, "projection_dim must be a whole number, not '512'"),
        ({"vision_config": {"patch_size": 0}}, r"vision_config\.patch_size must be a whole number, not 0"),
        ({"vision_config": [3]}, "vision_config must be a dict"),
        ({"vision_config": {"num_channels": 4}}, "num_channels is 4"),
    ],
)
def test_a_config_json_of_another_kind_is_named(changes, message, state, tmp_path):
    torch.save(state, write_config(tmp_path, **changes) / "pytorch_model.bin")
    with pytest.raises(ValueError, match=rf"config\.json.*{message}"):
        load_clip(tmp_path)


def test_siglip_weights_of_transformers_are_named(state, tiny_json, tmp_path):
    torch.save({**state, "vision_model.head.probe": torch.ones(1)}, tmp_path / "w.bin")
    with pytest.raises(ValueError, match=r"w\.bin .*SiglipModel.*; take open_clip's own file"):
        load_clip(tiny_json, tmp_path / "w.bin", quick_gelu=True)


def test_entries_that_are_no_tensors_are_named(state, tiny_json, tmp_path):
    torch.save({**state, "visual_projection.weight": [1.0]}, tmp_path / "w.bin")
    with pytest.raises(ValueError, match=r"w\.bin .*other things than tensors: visual_projection\.weight \(list\)"):
        load_clip(tiny_json, tmp_path / "w.bin", quick_gelu=True)


def test_position_numbers_are_ignored_and_unknown_names_stay():
    assert convert_state({**IDS, "text_model.odd": torch.ones(1)}).keys() == {"text_model.odd"}


@pytest.fixture
def small_models(monkeypatch, tiny_json):
    """Models of open_clip's list, in the tiny shape."""
    config = json.loads(tiny_json.read_text())
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: {**config, "quick_gelu": "quick" in name})


@pytest.mark.parametrize("layout", ["transformers", "open_clip"])
def test_a_state_dict_of_unknown_gelu_asks_for_it(layout, model, state, small_models, tmp_path):
    own = state if layout == "transformers" else model.state_dict()
    torch.save(own, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"w\.pt do not say their GELU.*quick_gelu=True .*--no-quick-gelu"):
        load_clip("ViT-B-16", tmp_path / "w.pt")
    assert_is(load_clip("ViT-B-16", tmp_path / "w.pt", quick_gelu=True), model)
    assert_is(load_clip("ViT-B-16-quickgelu", tmp_path / "w.pt"), model)
    assert not load_clip("ViT-B-16", tmp_path / "w.pt", quick_gelu=False).quick_gelu


@pytest.mark.parametrize(
    ("name", "quick"),
    [
        ("vit_b_16-laion400m_e32-55e67d44.pt", False),
        ("ViT-B-16-laion2B-s34B-b88K.bin", False),
        ("vit_b_16-quickgelu-somewhere.pt", True),
        ("vit-b-16-openai.pt", True),
        ("models--laion--CLIP-ViT-B-16-DataComp.XL-s13B-b90K/snapshots/a/w.bin", None),
        ("models--laion--CLIP-ViT-B-16-laion2B-s34B-b88K/snapshots/a/w.bin", False),
    ],
)
def test_a_file_name_may_say_the_gelu(name, quick, model, small_models, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), tmp_path / name)
    if quick is False:
        assert not load_clip("ViT-B-16", tmp_path / name).quick_gelu
        return
    with pytest.raises(ValueError, match="take model 'ViT-B-16-quickgelu'" if quick else "do not say their GELU"):
        load_clip("ViT-B-16", tmp_path / name)


def test_what_a_siglip_tokenizer_needs_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(
        ImportError, match=r"'ViT-B-16-SigLIP'.*pip install transformers sentencepiece protobuf$"
    ) as caught:
        sources.build_tokenizer(sources.find_source("ViT-B-16-SigLIP"))
    assert "\n" not in str(caught.value)
