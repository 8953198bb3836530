"""Configs: inheritance, derived numbers, strict overrides, teaching errors."""

import json
from pathlib import Path

import pytest

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

ROOT = Path(__file__).parents[1]
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
    words = ["a.b=1e-4", "c=[1, 2]", "d=path/x.pth", "e=true", "f=None", "g=x=y"]
    assert parse_overrides(words) == {"a.b": 1e-4, "c": [1, 2], "d": "path/x.pth", "e": True, "f": None, "g": "x=y"}
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
        ("[1]", "is no JSON object, but a list"),
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
