"""A mixture of trained models: weighted means of probabilities, over the same videos and classes only."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from clip_set import CONFIGS, make_clip_set, tiny, undo_kernels
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.cli import mixture
from opentad_bi.cli.main import call
from opentad_bi.engine.checkpoint import save_checkpoint
from opentad_bi.ops.records import ClassScores, UnitMeta
from opentad_bi.utils.weight_files import load_checkpoint

pytestmark = pytest.mark.usefixtures("no_pictures")

CONFIG = str(CONFIGS / "video_coop.py")


@pytest.fixture(autouse=True)
def kernels():
    """Leave torch as it was."""
    yield
    undo_kernels()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with a set, in `set`, and two runs on it, `out/gpu1_id0` and `out/gpu1_id1`."""
    data = make_clip_set(tmp_path_factory.mktemp("mix") / "set", train=3, test=2)
    for number in ("0", "1"):
        words = [CONFIG, "--work-dir", data.parent / "out", "--device", "cpu", "--id", number, "--seed", number]
        assert call("train", [*words, "--cfg-options", *tiny(data)]) == 0
    return data.parent


def mixed(folder, out, *words):
    """The numbers that the command writes."""
    assert call("mixture", ["--out", out, "--device", "cpu", *words]) == 0
    return json.loads((out / "mixture.json").read_text())


def probabilities(path):
    """{video: its probabilities by class} in a file of the metric."""
    return {row["video"]: row["probabilities"] for row in json.loads(path.read_text())}


def test_members_of_every_form_give_the_weighted_mean(trained, tmp_path):
    key, run = trained / "models" / "video_coop" / "demo_clips" / "id0", trained / "out" / "gpu1_id1"
    pair = f"{run / 'resolved_config.py'}={run / 'checkpoint' / 'best.pth'}"
    told = mixed(trained, tmp_path / "ab", "--member", key, run, "--weights", "3", "1")
    assert [member["weight"] for member in told["members"]] == [0.75, 0.25]
    same = mixed(trained, tmp_path / "bb", "--member", run, pair, "--weights", "5", "0")
    assert same["members"][0]["numbers"] == same["members"][1]["numbers"] == told["members"][1]["numbers"]
    assert same["mixture"]["model"]["loss"] == pytest.approx(told["members"][1]["numbers"]["model"]["loss"])
    alone = mixed(trained, tmp_path / "a", "--member", key)
    ours, a, b = (probabilities(tmp_path / name / "class_scores.json") for name in ("ab", "a", "bb"))
    assert len(ours) == 8 and ours.keys() == a.keys() == b.keys()
    for video, row in ours.items():
        for name, value in row.items():
            assert value == pytest.approx(0.75 * a[video][name] + 0.25 * b[video][name], abs=2e-6)
    assert any(a[video] != b[video] for video in a)
    assert alone["mixture"]["model"]["loss"] == pytest.approx(told["members"][0]["numbers"]["model"]["loss"])
    assert ours.keys() != probabilities(run / "class_scores.json").keys()  # training evaluates the split val


def test_nothing_in_the_folder_of_a_member_is_run(trained, tmp_path, capsys):
    key, mark = tmp_path / "key", tmp_path / "was_run"
    shutil.copytree(trained / "models" / "video_coop" / "demo_clips" / "id0", key)
    evil = f"from pathlib import Path\nPath({str(mark)!r}).touch()\n"
    state = load_checkpoint(key / "checkpoint.pth")
    save_checkpoint(key / "checkpoint.pth", state | {"config": evil + state["config"]})
    (tmp_path / "evil_module_of_a_member.py").write_text(evil)
    own = json.loads((key / "config.json").read_text())
    (key / "config.json").write_text(json.dumps(own | {"_base_": str(tmp_path / "evil_module_of_a_member.py")}))
    told = mixed(trained, tmp_path / "out", "--member", key)
    assert told["members"][0]["numbers"] and not mark.exists() and not list((tmp_path / "out").glob("*.py"))
    (key / "config.json").write_text(json.dumps(own | {"custom_imports": {"imports": ["evil_module_of_a_member"]}}))
    assert call("mixture", ["--member", str(key), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 1
    assert "asks for modules to import, which data may not" in capsys.readouterr().err and not mark.exists()


def test_another_split_is_mixed_when_asked_for(trained, tmp_path):
    run = trained / "out" / "gpu1_id1"
    mixed(trained, tmp_path, "--member", run, run, "--split", "val")
    videos = probabilities(tmp_path / "class_scores.json")
    assert videos.keys() == probabilities(run / "class_scores.json").keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weights", "1"], "--weights: 1 of them for 2 members"),
        (["--weights", "1", "-1"], "--weights 1.0 -1.0: shares of at least 0"),
        (["--weights", "0", "0"], "not all of them 0"),
        (
            ["--member", "nothing"],
            "--member nothing: no folder with checkpoint.pth and config.json, nor one with resolved_config.py",
        ),
        (["--member", f"{CONFIG}=none.pth"], "none.pth"),
        (["--split", "vall"], "dataset has no split 'vall'; did you mean 'val'?"),
    ],
)
def test_what_is_wrong_is_one_message(trained, tmp_path, capsys, words, message):
    run = str(trained / "out" / "gpu1_id0")
    data = ["--cfg-options", *tiny(trained / "set")] if "--member" in words else []
    assert call("mixture", ["--member", run, run, "--out", str(tmp_path), "--device", "cpu", *words, *data]) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]


def heard(classes, results):
    """What a member said."""
    return SimpleNamespace(classes=classes, results=results)


def scores(rows, *, video="v", label=0):
    """Results with the probabilities `rows`."""
    return [ClassScores(UnitMeta(f"{video}{i}", 0, 1), label, np.float32(row)) for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (heard(["b", "a"], scores([[0.5, 0.5]])), r"member x has the classes \['a', 'b'\], but y \['b', 'a'\]"),
        (heard(["a", "b"], scores([[0.5, 0.5]] * 2)), "member x saw 1 videos, but y 2"),
        (heard(["a", "b"], scores([[0.5, 0.5]], video="w")), "saw 'v0' with label 0 where y saw 'w0' with label 0"),
        (heard(["a", "b"], scores([[0.5, 0.5]], label=1)), "saw 'v0' with label 0 where y saw 'v0' with label 1"),
    ],
)
def test_members_must_have_seen_the_same(other, message):
    with pytest.raises(ValueError, match=message):
        mixture.mix({"x": heard(["a", "b"], scores([[0.5, 0.5]])), "y": other}, [0.5, 0.5])


SHARES = st.lists(st.floats(0.01, 1), min_size=3, max_size=3)


@given(st.lists(st.tuples(st.lists(SHARES, min_size=2, max_size=2), st.floats(0.1, 9)), min_size=1, max_size=4))
def test_mixing_is_the_mean_of_distributions(members):
    rows = [np.float32([np.array(row) / sum(row) for row in own]) for own, _ in members]
    weights = mixture.normalised([weight for _, weight in members], len(members))
    assert sum(weights) == pytest.approx(1)
    found = mixture.mix({str(i): heard(None, scores(own)) for i, own in enumerate(rows)}, weights)
    expected = sum(weight * own.astype(float) for weight, own in zip(weights, rows, strict=True))
    np.testing.assert_allclose([result.probabilities for result in found], expected, atol=1e-12)
    assert [result.meta.video for result in found] == ["v0", "v1"]
