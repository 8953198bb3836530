"""Earlier names of arguments, config keys, classes, values and options: accepted, and the log gives the one of now."""

import inspect

import pytest
import torch

from opentad_bi import registry
from opentad_bi.cli import aliases, arguments
from opentad_bi.cli._made_of import other_config
from opentad_bi.config import load_config, text_with_current_names
from opentad_bi.datasets.video_anomaly.sampling import BALANCES
from opentad_bi.registry import RENAMED, Kind, current_name
from opentad_bi.utils.logging import LOGGER, strictly

ARGUMENTS = [
    ("DATASETS", "VideoFolder", "val_share", "val_ratio"),
    ("DATASETS", "VideoFolder", "draw_seed", "sampling_seed"),
    ("DATASETS", "VideoFeatureDataset", "unit_duration", "snippet_duration"),
    ("MODELS", "BiDirectional", "unfused_share", "aux_loss_weight"),
    ("METRICS", "mAP", "agreement", "cross_direction_voting"),
    ("SCHEDULERS", "WarmupShareLR", "share", "warmup_ratio"),
]
KEYS = [  # of shipped configs: at the top level, or at the place itself
    ("prompt/ucf101/video_coop", "val_share", 0.25, "dataset.train.val_ratio"),
    ("prompt/ucf101/video_coop", "draw_seed", 7, "dataset.val.sampling_seed"),
    ("prompt/ucf101/video_coop", "dataset.train.val_share", 0.25, "dataset.train.val_ratio"),
    ("prompt/ucf_crime/coop_vit_b_16", "unit_duration", 3, "dataset.test.snippet_duration"),
    ("demo/pair_exp3_3", "unfused_share", 0.25, "model.aux_loss_weight"),
    ("demo/pair_exp3_3", "model.unfused_share", 0.25, "model.aux_loss_weight"),
    ("demo/pair_exp1", "evaluation.agreement", 2.0, "evaluation.cross_direction_voting"),
    ("fgclip/ucf_crime/debug", "warmup_share", 0.25, "branches.text.scheduler.warmup_ratio"),
    ("fgclip/ucf_crime/debug", "branches.text.scheduler.share", 0.25, "branches.text.scheduler.warmup_ratio"),
]


@pytest.fixture(autouse=True)
def logged(monkeypatch):
    """The lines that the log has, each a name and what it is now."""
    lines = []
    monkeypatch.setattr(LOGGER, "warning", lambda text, *names: lines.append(names))
    registry.log_renamed.cache_clear()
    return lines


def at(node, path):
    for part in path.split("."):
        node = node[part]
    return node


@pytest.mark.parametrize(("kind", "name", "earlier", "now"), ARGUMENTS)
def test_an_argument_may_have_its_earlier_name(logged, kind, name, earlier, now):
    parameters = inspect.signature(getattr(registry, kind).find(name)).parameters
    assert current_name(earlier, parameters) == now
    assert current_name(now, parameters) == now
    assert logged[-1:] == [(earlier, now)]


def test_every_name_is_tested():
    tested = {earlier for *_, earlier, _ in ARGUMENTS} | {"WarmupShareLR"}
    tested |= {key.split(".")[-1] for _, key, _, _ in KEYS}
    assert tested == set(RENAMED)


def test_a_class_and_its_argument_are_the_same_object_by_either_name(logged):
    def rates(**cfg):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = registry.SCHEDULERS.build(cfg, optimizer=optimizer, iters_per_epoch=10)
        found = []
        for _ in range(20):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return type(schedule), found

    with strictly():
        earlier = rates(type="WarmupShareLR", share=0.3, max_epoch=2)
    assert earlier == rates(type="WarmupRatioLR", warmup_ratio=0.3, max_epoch=2)
    assert earlier != rates(type="WarmupRatioLR", warmup_ratio=0.4, max_epoch=2)
    rates(type="WarmupShareLR", share=0.3, max_epoch=2)
    assert logged == [("WarmupShareLR", "WarmupRatioLR"), ("share", "warmup_ratio")]  # once


def test_a_class_of_the_users_own_keeps_its_arguments(logged):
    kind = Kind("thing", [])

    @kind.register_module()
    class Own:
        def __init__(self, agreement, val_ratio=0):
            self.given = agreement, val_ratio

    assert kind.build({"type": "Own", "agreement": 1, "val_share": 2}).given == (1, 2)
    assert logged == [("val_share", "val_ratio")]
    with pytest.raises(ValueError, match="has the argument 'val_ratio' twice: 'val_share' is its earlier name"):
        kind.build({"type": "Own", "agreement": 1, "val_share": 2, "val_ratio": 2})


def test_a_value_may_have_its_earlier_name():
    assert current_name("share", BALANCES) == "natural"


@pytest.mark.parametrize(("config", "key", "value", "place"), KEYS)
def test_an_override_and_a_child_config_may_have_the_earlier_name(logged, tmp_path, config, key, value, place):
    expected = load_config(config, {place: value})
    assert at(load_config(config, {key: value}), place) == value
    top, _, below = key.partition(".")
    for part in reversed(below.split(".") if below else []):
        value = {part: value}
    child = tmp_path / "child.py"
    child.write_text(f"_base_ = ['{config}.py']\n{top} = {value!r}\n")
    assert at(load_config(child), place) == at(expected, place)
    assert load_config(child).to_dict().keys() == expected.to_dict().keys()
    assert logged == [(key.split(".")[-1], place.split(".")[-1])]


def test_a_whole_config_of_an_earlier_version_takes_overrides_by_both_names(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "draw_seed = 3\ndataset = dict(train=dict(type='VideoFolder', draw_seed='${draw_seed}', val_share=0.5))\n"
    )
    for key in ("draw_seed", "sampling_seed"):
        assert load_config(path, {key: 4}).dataset.train.draw_seed == 4
    for key in ("val_share", "val_ratio"):
        assert load_config(path, {f"dataset.train.{key}": 0.1}).dataset.train.to_dict() == {
            "type": "VideoFolder", "draw_seed": 3, "val_share": 0.1,
        }  # fmt: skip
    child = tmp_path / "child.py"
    child.write_text("_base_ = ['own.py']\nsampling_seed = 5\ndataset = dict(train=dict(val_ratio=0.2))\n")
    assert load_config(child).dataset.train.to_dict() == {"type": "VideoFolder", "draw_seed": 5, "val_share": 0.2}


def test_an_expression_may_have_the_earlier_name(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "_base_ = ['demo/pair_exp3_3.py']\nunfused_share = 0.25\n"
        "model = dict(_delete_=True, type='BiDirectional', unfused_share='${unfused_share}')\n"
    )
    assert load_config(path).model.unfused_share == 0.25


def test_configs_of_two_versions_are_compared_by_the_names_of_now():
    earlier = "model = {'unfused_share': 0.5, 'type': 'WarmupShareLR', 'share': 0.1, 'balance': 'share'}\n"
    now = "model = {'aux_loss_weight': 0.5, 'balance': 'natural', 'type': 'WarmupRatioLR', 'warmup_ratio': 0.1}\n"
    assert text_with_current_names(earlier) == text_with_current_names(now) == now
    assert text_with_current_names("b = 1\na = {'share': 2}\n") == "a = {'warmup_ratio': 2}\nb = 1\n"
    assert text_with_current_names("made = by(another, program)\n") == "made = by(another, program)\n"
    lines = [f"a = {{'{name}': 'WarmupRatioLR', 'b': '{90 * 'c'}'}}\n" for name in ("share", "warmup_ratio")]
    assert text_with_current_names(lines[0]) == text_with_current_names(lines[1])
    kept = {"dataset.train.val_share": 0.5, "dataset.train.balance": "share"}
    assert other_config(kept, {"dataset.train.val_ratio": 0.5, "dataset.train.balance": "natural"}) is None
    assert other_config(kept, {"dataset.train.val_ratio": 0.4, "dataset.train.balance": "natural"})


def test_options_may_have_their_earlier_names(tmp_path):
    cli = arguments.stats()
    config = tmp_path / "config.py"
    config.touch()
    assert cli.parse_args([str(config), "--share", "0.5"]).coverage == 0.5
    words = ["--val-share", "0.2", "--draw-seed", "3"]
    parsed = vars(aliases.parser("video_coop").parse_args(words))
    assert (parsed["val_ratio"], parsed["sampling_seed"]) == (0.2, 3)
    words = ["--feature-dir", "a", "--val-feature-dir", "b", "--output-dir", "c", "--unit-duration", "4"]
    assert aliases.parser("custom_prompt_training").parse_args(words).snippet_duration == 4


def test_a_function_that_documents_of_an_earlier_version_named():
    from opentad_bi import apis

    assert apis.localise is apis.localize
    with pytest.raises(AttributeError, match="no attribute 'localisation'"):
        apis.localisation  # noqa: B018
