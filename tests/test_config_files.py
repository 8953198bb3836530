"""Configs as files: names of shipped ones, bases in their order, names that stand for several places."""

from pathlib import Path

import pytest
from places import ROOT

from opentad_bi.config import load_config, raw_config
from opentad_bi.utils.config_files import config_chain, config_root, find_config, shipped_configs

CONFIGS = sorted(p for p in (ROOT / "configs").rglob("*.py") if "_base_" not in p.parts)


def child(base, text):
    path = base.with_name("child.py")
    path.write_text(f"_base_ = ['base.py']\n{text}")
    return path


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty working directory."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "name",
    ["demo/pair_exp1", "demo/pair_exp1.py", "configs/demo/pair_exp1", "configs/demo/pair_exp1.py", "pair_exp1",
     "./configs/demo/pair_exp1.py", "pair_exp1.py"],
)  # fmt: skip
def test_a_shipped_config_is_found_from_anywhere(empty, name):
    assert find_config(name) == config_root() / "demo" / "pair_exp1.py"
    assert load_config(name).work_dir == "exps/demo/pair_exp1"
    assert find_config("configs/_base_/models/small.py") == config_root() / "_base_" / "models" / "small.py"
    assert list(empty.iterdir()) == []


def test_a_file_of_the_working_directory_comes_first(empty):
    (empty / "pair_exp1.py").write_text("_base_ = ['demo/pair_exp1']\nwork_dir = 'mine'")
    assert find_config("pair_exp1.py") == Path("pair_exp1.py") and load_config("pair_exp1.py").work_dir == "mine"
    (empty / "demo").mkdir()
    assert load_config("demo/pair_exp1").work_dir == "exps/demo/pair_exp1"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("vita", ValueError, "may be any of prompt/demo_clips/vita, prompt/hmdb51/vita, prompt/kinetics400/vita, "),
        ("demo/pair_exp4", FileNotFoundError, "did you mean 'demo/pair_exp2' or"),
        ("pair_exp11", FileNotFoundError, "did you mean 'demo/pair_exp1"),
        ("configs/dem/pair_exp1.py", FileNotFoundError, "did you mean 'demo/pair_exp1"),
        ("configs/demo", FileNotFoundError, "does not exist"),
        ("small", FileNotFoundError, "does not exist"),
        ("xyzzy.py", FileNotFoundError, "config xyzzy.py does not exist; looked in "),
        ("", FileNotFoundError, "does not exist; looked in "),
        ("/nowhere/single_for.py", FileNotFoundError, "did you mean 'demo/single_for'"),
    ],
)
def test_a_wrong_name_of_a_config_names_the_nearest(empty, name, error, message):
    with pytest.raises(error, match=message) as raised:
        find_config(name)
    if error is FileNotFoundError:
        assert str(empty) in str(raised.value) and str(config_root()) in str(raised.value)


def test_all_shipped_configs_are_known():
    assert [config_root() / path for path in shipped_configs()] == CONFIGS
    assert config_root() == ROOT / "configs"


def test_bases_are_merged_in_their_order_and_each_file_once(tmp_path):
    for name, text in {
        "a": "a = 1\nmodel = dict(n='${a}', x=1, y=1)",
        "b": "_base_ = 'a.py'\nmodel = dict(x=2)",
        "c": "_base_ = ['a.py']\nmodel = dict(y=3)",
        "d": "_base_ = ['b.py', 'c.py']\na = 5",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    assert [path.stem for path in config_chain(tmp_path / "d.py")] == ["a", "b", "c", "d"]
    assert load_config(tmp_path / "d.py").model.to_dict() == {"n": 5, "x": 2, "y": 3}
    (tmp_path / "a.py").write_text("_base_ = ['d.py']")
    with pytest.raises(ValueError, match=r"circle: .*d\.py -> .*b\.py -> .*a\.py -> .*d\.py"):
        load_config(tmp_path / "d.py")


@pytest.mark.parametrize("name", ["demo/pair_exp3_1", "prompt/hmdb51/stt", "fgclip/ucf_crime/debug"])
def test_a_shipped_config_that_was_copied_elsewhere_loads(empty, name):
    (empty / "copy.py").write_text(find_config(name).read_text())
    assert load_config("copy.py").to_dict() == load_config(name).to_dict()


def test_a_base_that_is_nowhere_is_named_with_who_names_it(empty):
    (empty / "mine.py").write_text("_base_ = ['../ucf_crimes/full.py']")
    with pytest.raises(FileNotFoundError, match=r"mine\.py is based on \.\./ucf_crimes/full\.py.*ucf_crime/full'"):
        load_config("mine.py")


SHORT = """
short_names = dict(rate=["solver.*.lr", "hooks.*.lr"], steps="solver.a.steps", size="solver.a.sizes.1")
short_names.update(log="solver.log")
solver = dict(a=dict(lr=1.0, steps=3, sizes=[1, 2]), b=dict(lr=1.0, total="${steps * 2}"), log=None)
hooks = [dict(type="H"), dict(type="I", lr=1.0)]
"""


@pytest.fixture
def short(tmp_path):
    path = tmp_path / "base.py"
    path.write_text(SHORT)
    return path


def test_a_short_name_sets_its_places(short):
    typed = load_config(short, {"rate": 0.1, "steps": 4, "size": 9, "log.file": "x"}).to_dict()
    text = "rate = 0.1\nsteps = 4\nsize = 9\nlog = dict(file='x')"
    assert load_config(child(short, text)).to_dict() == typed
    assert typed["solver"] == {
        "a": {"lr": 0.1, "steps": 4, "sizes": [1, 9]}, "b": {"lr": 0.1, "total": 8}, "log": {"file": "x"}
    }  # fmt: skip
    assert typed["hooks"] == [{"type": "H"}, {"type": "I", "lr": 0.1}]
    assert raw_config(short).steps == 3 and raw_config(child(short, "steps = 4")).steps == 4


def test_a_place_itself_counts_more_and_leaves_what_follows_from_the_name(short):
    cfg = load_config(child(short, "rate = 0.1\nsolver = dict(b=dict(lr=0.2), a=dict(steps=7))"))
    assert (cfg.solver.a.lr, cfg.solver.b.lr, cfg.solver.a.steps, cfg.solver.b.total) == (0.1, 0.2, 7, 6)
    assert load_config(child(short, "solver = dict(a=dict(lr='${rate}'))"), {"rate": 5.0}).solver.a.lr == 5.0
    with pytest.raises(KeyError, match="did you mean 'rate'"):
        load_config(short, {"rat": 1})
    with pytest.raises(ValueError, match=r"--cfg-options rate: a number is expected, such as 1\.0; got 'x'"):
        load_config(short, {"rate": "x"})


def test_a_name_that_is_set_before_it_is_explained_has_its_effect(short):
    (short.parent / "set.py").write_text("rate = 0.5")
    (short.parent / "child.py").write_text("_base_ = ['set.py', 'base.py']")
    assert load_config(short.parent / "child.py").solver.b.lr == 0.5


def test_steps_tell_what_every_file_of_a_config_says(short):
    steps = []
    raw_config(child(short, "rate = 0.1"), steps)
    assert [path.name for path, _, _ in steps] == ["base.py", "child.py"]
    assert [told["solver"]["b"]["lr"] for _, _, told in steps] == [1.0, 0.1] and steps[1][1] == {"rate": 0.1}


# what configs of version 0.1.0 were made of, and the one of now that says the same
EARLIER = {
    "fgclip/demo/surveillance": ["datasets/region_videos", "models/fg_clip", "schedules/fg_clip"],
    "fgclip/ucf_crime/full": [
        "datasets/ucf_crime_videos", "prompts/ucf_crime_frames", "models/fg_clip", "schedules/fg_clip",
    ],
    "prompt/ucf_crime/coop_vit_b_16": ["datasets/ucf_crime_features", "models/feature_prompts", "schedules/coop"],
    "prompt/ucf101/video_coop": ["datasets/ucf101", "models/video_clip", "schedules/prompt_tuning"],
}  # fmt: skip


@pytest.mark.parametrize("name", EARLIER)
@pytest.mark.parametrize("place", ["{}", "configs/{}", "../../{}"])
def test_parts_that_were_joined_are_taken_by_their_earlier_names(name, place, tmp_path, caplog):
    own = (config_root() / f"{name}.py").read_text()
    own = own[own.index("_base_") :].partition("]")[2]
    found = []
    for parts in (EARLIER[name], [part for part in EARLIER[name] if (config_root() / f"_base_/{part}.py").is_file()]):
        bases = [place.format(f"_base_/{part}.py") for part in parts]
        if name.endswith("video_coop"):
            bases.append(place.format("_base_/prompts/video_coop.py"))
        (tmp_path / "own.py").write_text(f"_base_ = {bases}\n{own}")
        found.append(load_config(tmp_path / "own.py").to_dict())
    assert found[0] == found[1] == load_config(name).to_dict()


def test_a_part_of_ones_own_says_more_than_what_a_joined_part_says_besides(tmp_path):
    (tmp_path / "model.py").write_text("lr = 0.5\nmodel = dict(type='Own', rate='${lr}')\n")
    (tmp_path / "own.py").write_text("_base_ = ['model.py', '_base_/schedules/prompt_tuning.py']\n")
    found = raw_config(tmp_path / "own.py").to_dict()
    assert (found["lr"], found["model"]["type"], found["model"]["rate"]) == (0.5, "Own", "${lr}")
