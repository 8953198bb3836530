"""Configs: inheritance, derived numbers, strict overrides, teaching errors."""

import json

import pytest
from places import ROOT

from opentad_bi.config import (
    config_of_data,
    config_text,
    dataset_config,
    load_config,
    parse_overrides,
    raw_config,
    resolve,
)
from opentad_bi.registry import Kind

BASE = """
window_size = 768
frames = "${window_size * 2}"
detector = dict(type="Net", length="${window_size}", frames="${frames}")
model = "${detector}"
work_dir = "exps/w${window_size}"
"""

CONFIGS = sorted(p for p in (ROOT / "configs").rglob("*.py") if "_base_" not in p.parts)


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "base.py"
    path.write_text(BASE)
    return path


def child(base, text):
    path = base.parent / "child.py"
    path.write_text(f"_base_ = ['base.py']\n{text}")
    return path


def test_numbers_follow_from_helpers(base):
    cfg = load_config(base)
    assert cfg.model.to_dict() == {"type": "Net", "length": 768, "frames": 1536}
    assert cfg.work_dir == "exps/w768"
    assert set(cfg) == {"model", "work_dir"}


def test_a_child_and_the_command_line_change_all_that_follows(base):
    assert load_config(child(base, "window_size = 10")).model.frames == 20
    assert load_config(base, {"window_size": 5}).model.frames == 10
    assert load_config(base, {"detector.length": 5}).model.length == 5
    assert load_config(base, {"model.length": 7}).model.length == 7


def test_a_pair_takes_two_copies(base):
    cfg = load_config(child(base, "model = dict(_delete_=True, type='Pair', a='${detector}', b='${detector}')"))
    cfg.model.a.length = 1
    assert cfg.model.b.length == 768


def test_a_resolved_config_loads_again(base, tmp_path):
    cfg = load_config(base)
    (tmp_path / "dump.py").write_text(config_text(cfg))
    assert load_config(tmp_path / "dump.py").to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"model.lenght": 3}, "did you mean 'length'"),
        ({"modle.length": 3}, "did you mean 'model'"),
        ({"model.length.x": 3}, "'x' is not in model.length"),
    ],
)
def test_unknown_overrides_name_the_nearest(base, overrides, message):
    with pytest.raises(KeyError, match=message):
        load_config(base, overrides)


def test_a_misspelt_top_level_key_is_an_error(base):
    with pytest.raises(KeyError, match="did you mean 'window_size'"):
        load_config(child(base, "windw_size = 5"))
    with pytest.raises(KeyError, match="did you mean 'work_dir'"):
        load_config(child(base, "work_dri = 'x'"))


def test_unknown_names_circles_and_code_are_errors(base, tmp_path):
    with pytest.raises(KeyError, match="did you mean 'window_size'"):
        load_config(child(base, "work_dir = '${window_sise}'"))
    with pytest.raises(ValueError, match="a -> b -> a"):
        resolve({"a": "${b}", "b": "${a}", "model": "${a}"})
    with pytest.raises(ValueError, match="only names"):
        resolve({"a": 1, "model": "${a.__class__}"})
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py"):
        load_config(tmp_path / "nowhere.py")


def test_overrides_are_literals_or_text():
    words = ["a.b=1e-4", "c=[1, 2]", "d=path/x.pth", "e=true", "f=None", "g=x=y", "h=null"]
    assert parse_overrides(words) == {
        "a.b": 1e-4,
        "c": [1, 2],
        "d": "path/x.pth",
        "e": True,
        "f": None,
        "g": "x=y",
        "h": None,
    }
    with pytest.raises(ValueError, match="key=value"):
        parse_overrides(["lr"])


def test_registry_names_the_nearest_and_fills_from_context():
    kind = Kind("thing", [])

    @kind.register_module()
    class Thing:
        def __init__(self, size, depth=1):
            self.size, self.depth = size, depth

    assert kind.build({"type": "Thing", "size": 2}, depth=5, colour="red").depth == 5
    with pytest.raises(KeyError, match="no thing is called 'Think'; did you mean 'Thing'"):
        kind.build({"type": "Think"})
    with pytest.raises(ValueError, match="Thing has no argument 'sise'; did you mean 'size'"):
        kind.build({"type": "Thing", "sise": 1})
    with pytest.raises(ValueError, match="Thing needs the argument 'size'"):
        kind.build({"type": "Thing"}, depth=5)
    with pytest.raises(ValueError, match="dict with the key 'type'"):
        kind.build("Thing")


def test_a_missing_base_is_named_with_the_config(base):
    path = child(base, "")
    path.write_text('_base_ = ["nowhere.py"]')
    with pytest.raises(FileNotFoundError, match=rf"{path}.*nowhere\.py"):
        load_config(path)
    path.write_text("model = (")
    with pytest.raises(ValueError, match=rf"{path} is not valid Python"):
        load_config(path)


def test_text_in_the_place_of_a_number_is_an_error(base):
    with pytest.raises(ValueError, match=r"--cfg-options window_size: a number is expected.*'x'"):
        load_config(base, {"window_size": "x"})


def test_a_split_comes_in_its_wrapper():
    splits = {"train": {"type": "A"}, "wrap": {"type": "W"}}
    assert dataset_config(splits, "train") == {"type": "W", "dataset": {"type": "A"}}
    assert dataset_config({"train": {"type": "A"}}, "train") == {"type": "A"}
    with pytest.raises(KeyError, match="no split 'tran'; did you mean 'train'"):
        dataset_config(splits, "tran")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_reads_back_from_its_text(path, tmp_path):
    cfg = load_config(path)
    (tmp_path / "resolved.py").write_text(config_text(cfg), encoding="utf-8")
    assert load_config(tmp_path / "resolved.py").to_dict() == cfg.to_dict()


def test_a_config_from_json_is_the_one_that_was_resolved(base):
    cfg, path = load_config(base), base.with_name("config.json")
    path.write_text(json.dumps({"run": "exps/a", "seed": 3, **cfg.to_dict()}))
    assert config_of_data(path).to_dict() == cfg.to_dict()
    assert config_of_data(path, {"model.length": 5}).model.length == 5
    with pytest.raises(KeyError, match="did you mean 'length'"):
        config_of_data(path, {"model.lenght": 5})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "is not a JSON object, but a list"),
        ("model = 1", "is not valid JSON"),
        ('{"custom_imports": {"imports": ["this"]}}', "asks for modules to import"),
    ],
)
def test_json_that_is_no_config_is_refused(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        config_of_data(tmp_path / "config.json")


def test_a_raw_config_has_its_helpers_as_they_are_written(base):
    assert raw_config(base).window_size == 768 and raw_config(base).frames == "${window_size * 2}"
    with pytest.raises(FileNotFoundError, match=r"none\.py does not exist"):
        raw_config("none.py")


HOLES = """
wandb = None
mix = None
limit = 5
detector = dict(type="Net", neck=dict(type="N", width=3), backbone=None)
model = "${detector}"
dataset = dict(train=dict(type="Clips", class_names=None, mix="${mix}"))
workflow = dict(wandb="${wandb}", end_epoch="${limit}", hook=None)
"""


@pytest.fixture
def holes(tmp_path):
    path = tmp_path / "base.py"
    path.write_text(HOLES)
    return path


@pytest.mark.parametrize("text", ["wandb = dict(project='p')", "workflow = dict(wandb=dict(project='p'))"])
def test_a_child_config_gives_a_dict_where_its_base_has_none(holes, text):
    assert load_config(child(holes, text)).workflow.wandb.to_dict() == {"project": "p"}
    both = f"{text}\ndataset = dict(train=dict(class_names=dict(a='b', _delete_=True), mix=dict(type='M', p=0.5)))"
    cfg = load_config(child(holes, both))
    assert cfg.workflow.end_epoch == 5
    assert cfg.dataset.train.to_dict() == {"type": "Clips", "class_names": {"a": "b"}, "mix": {"type": "M", "p": 0.5}}
    (holes.parent / "grandchild.py").write_text("_base_ = ['child.py']\nworkflow = dict(wandb=dict(entity='e'))")
    cfg = load_config(holes.parent / "grandchild.py", {"workflow.wandb.name": "n"})
    assert cfg.workflow.wandb.to_dict() == {"project": "p", "entity": "e", "name": "n"}


def test_a_dict_over_a_helper_edits_what_the_helper_says(holes):
    cfg = load_config(child(holes, "model = dict(neck=dict(width=4), backbone=dict(type='B'))"))
    assert cfg.model.to_dict() == {"type": "Net", "neck": {"type": "N", "width": 4}, "backbone": {"type": "B"}}
    with pytest.raises(
        ValueError, match=r"child\.py: \$\{limit\} is 5, but a child config has a dict there: \{'a': 1\}"
    ):
        load_config(child(holes, "workflow = dict(end_epoch=dict(a=1))"))
    with pytest.raises(ValueError, match=r"child\.py: limit=\{'a': 1\} in a child config stands over 5 in its base"):
        load_config(child(holes, "limit = dict(a=1)"))


def test_an_override_gives_a_dict_key_by_key_where_none_stands(holes):
    words = ["wandb.project=p", "wandb.tags=['a']", "workflow.hook.type=H", "workflow.hook.deep.er=2"]
    words += [
        "dataset.train.class_names.brush_hair=brushing hair",
        "mix.type=M",
        "mix.p=0.5",
        "detector.backbone.type=B",
    ]
    cfg = load_config(holes, parse_overrides(words))
    assert cfg.workflow.to_dict() == {
        "wandb": {"project": "p", "tags": ["a"]}, "end_epoch": 5, "hook": {"type": "H", "deep": {"er": 2}}
    }  # fmt: skip
    assert cfg.dataset.train.class_names.to_dict() == {"brush_hair": "brushing hair"}
    assert cfg.dataset.train.mix.to_dict() == {"type": "M", "p": 0.5}
    assert cfg.model.backbone.to_dict() == {"type": "B"}
    assert load_config(holes, {"workflow.wandb.project": "p"}).workflow.wandb.project == "p"
    assert load_config(child(holes, "wandb = dict(entity='e')"), {"wandb.project": "p"}).workflow.wandb.to_dict() == {
        "entity": "e", "project": "p"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("workflow.wandbb.project", "'wandbb' is not in workflow; did you mean 'wandb'"),
        ("wandbb.project", "'wandbb' is not in the config; did you mean 'wandb'"),
        ("detector.neck.widht", "'widht' is not in detector.neck; did you mean 'width'"),
        ("workflow.end_epoch.x", "'x' is not in workflow.end_epoch"),
        ("wandb.", "'' is not in wandb"),
    ],
)
def test_a_typo_beside_a_none_stays_an_error(holes, key, message):
    with pytest.raises(KeyError, match=message):
        load_config(holes, {key: 1})


@pytest.mark.parametrize("text", ['{"project": "p", "save_code": true, "notes": null}',
                                  "{'project': 'p', 'save_code': True, 'notes': None}"])  # fmt: skip
def test_a_whole_dict_as_a_literal_or_as_json(holes, text):
    cfg = load_config(holes, parse_overrides([f"wandb={text}"]))
    assert cfg.workflow.wandb.to_dict() == {"project": "p", "save_code": True, "notes": None}


def test_text_in_braces_stays_text():
    words = ["a={path}/{name}", "b=[ctx]", "c={} of {}"]
    assert parse_overrides(words) == {"a": "{path}/{name}", "b": "[ctx]", "c": "{} of {}"}


# every key of the configs that is None and takes a dict: a config that has it, and what a child may give
TAKE_A_DICT = {
    "wandb": ("demo/single_for", {"project": "p"}, "workflow.wandb"),
    "workflow.wandb": ("prompt/ucf101/video_coop", {"project": "p"}, "workflow.wandb"),
    "videomix": ("prompt/demo_clips/video_coop", {"type": "VideoMix"}, "dataset.train.mix"),
    "class_names": ("prompt/demo_clips/video_coop", {"a": "b"}, "dataset.train.class_names"),
    "dataset.train.class_weights": ("prompt/ucf_crime/coop_vit_b_16", {"Abuse": 2.0}, "dataset.train.class_weights"),
    "model.prompt.class_prompts": ("prompt/ucf_crime/coop_vit_b_16", {"Abuse": "x"}, "model.prompt.class_prompts"),
    "descriptors": ("prompt/demo_clips/vidop", {"a": ["x"]}, "model.prompt.descriptors"),
    "detector.backbone": ("demo/pair_features", {"type": "B"}, "model.for_model.backbone"),
    "branch.optimizer.backbone": ("demo/pair_features", {"lr": 1.0}, "branches.for_model.optimizer.backbone"),
}


@pytest.mark.parametrize("key", TAKE_A_DICT)
def test_keys_that_are_none_take_a_dict_in_the_configs_that_have_them(key, tmp_path):
    name, value, place = TAKE_A_DICT[key]
    config, path = ROOT / "configs" / f"{name}.py", tmp_path / "child.py"
    top, *parts = key.split(".")
    nested = value
    for part in reversed(parts):
        nested = {part: nested}
    path.write_text(f"_base_ = [{str(config)!r}]\n{top} = {nested!r}")

    def at(cfg):
        for part in place.split("."):
            cfg = cfg[part]
        return cfg.to_dict()

    assert at(load_config(config, {f"{key}.{k}": v for k, v in value.items()})) == value
    assert at(load_config(path)) == value
    assert at(load_config(config, parse_overrides([f"{key}={json.dumps(value)}"]))) == value
