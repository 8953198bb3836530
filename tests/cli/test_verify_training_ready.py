"""Is all ready for a training?  Each thing that can be wrong is made wrong on a tiny set, and told."""

import json
import shutil
from functools import partial

import pytest
import torch
from clip_set import CONFIGS, make_clip_set, tiny
from region_set import CONFIG

from opentad_bi.cli.main import call
from opentad_bi.contracts import losses_and_logged
from opentad_bi.datasets.detection.check import check_dataset
from opentad_bi.registry import MODELS
from opentad_bi.utils.checks import attempt, judge, result_table

main = partial(call, "doctor")

FAST = {"captions", "duplicates", "regions", "boxes", "test videos", "files", "classes", "kinds", "frame counts"}
FULL = FAST | {"frames", "hits"}


@pytest.fixture
def verdicts(capsys):
    """A function: root, options -> ({name: verdict}, exit code)."""

    def run(root, *options, fast=True):
        words = [CONFIG, "--json", "--device", "cpu", *(["--fast"] if fast else []), "--cfg-options"]
        code = main([*words, f"data_root={root}", f"work_dir={root.parent / 'exps'}", "num_frames=4", *options])
        found = json.loads(capsys.readouterr().out)
        assert found["ready"] == (code == 0) == all(v["level"] != "error" for v in found["results"])
        return {verdict["name"]: verdict for verdict in found["results"]}, code

    return run


@pytest.fixture
def changed(region_set, tmp_path):
    """A function: change of the list of entries -> root of a set with changed captions and the same videos."""

    def make(change=None):
        root = tmp_path / "set"
        root.mkdir()
        for path in region_set.iterdir():
            if path.name == "Videos":
                (root / "Videos").symlink_to(path)
            else:
                shutil.copy(path, root)
        entries = json.loads((root / "train.json").read_text())
        (root / "train.json").write_text(json.dumps(change(entries) if change else entries))
        return root

    return make


def test_a_set_that_is_ready(region_set, verdicts):
    found, code = verdicts(region_set, fast=False)
    assert code == 0
    assert {name.removeprefix("train: ") for name in found if name.startswith("train: ")} == FULL
    rest = [
        "test: videos to score",
        "negatives",
        "data",
        "steps",
        "weights",
        "tokens",
        "colours",
        "step",
        "memory",
        "disk",
    ]
    assert [name for name in found if not name.startswith("train: ")] == rest
    assert (
        found["steps"]["level"] == "ok"
        and "8 samples in batches of 8: 1 steps an epoch, 20 in all" in found["steps"]["found"]
    )
    assert "warm-up of 2 (vision) and 2 (text)" in found["steps"]["found"]
    assert "all tensors loaded" in found["weights"]["found"]
    assert found["step"]["level"] == "ok" and "region_loss" in found["step"]["found"]


def test_the_fast_form_decodes_nothing_and_builds_no_model(region_set, verdicts, monkeypatch):
    monkeypatch.setattr("opentad_bi.datasets.video_anomaly.check.open_video", None)
    monkeypatch.setattr(MODELS, "build", None)
    found, code = verdicts(region_set)
    assert code == 0 and {n.removeprefix("train: ") for n in found if n.startswith("train: ")} == FAST
    assert "weights" not in found and {"negatives", "steps", "disk"} < found.keys()


def flatten(entries):
    box = next(e for e in entries if e["bbox_info"] and e["bbox_info"][0]["keyframes"])["bbox_info"][0]["keyframes"][0]
    box["bbox"] = [0.5, 0.5, 0.5, 0.9]
    return entries


def percent(entries):
    box = next(e for e in entries if e["bbox_info"] and e["bbox_info"][0]["keyframes"])["bbox_info"][0]["keyframes"][0]
    box["bbox"] = [50, 50, 70, 90]
    return entries


def without_caption(entries):
    del entries[0]["global_caption"]
    return [{**entry, "bbox_info": []} for entry in entries]


def renamed(entries):
    entries[0]["f_path"] = "Arson999_x264.mp4"
    return entries


@pytest.mark.parametrize(("change", "options", "name", "level", "told"), [
    (lambda entries: {"a": 1}, [], "train: captions", "error", "train.json"),
    (flatten, [], "train: captions", "error", "train.json"),
    (flatten, ["dataset.train.on_bad_box=drop"], "train: boxes", "warning", "1 keyframes are left out"),
    (percent, [], "train: captions", "error", "train.json"),
    (without_caption, [], "train: regions", "warning", "no region has a box"),
    (renamed, [], "train: files", "error", "7 of 8 videos have a file"),
    (renamed, ["tolerate=0.5", "batch_size=4"], "train: files", "warning", "there is none of Arson999_x264"),
    (None, ["class_names=['Normal','Arson','Fighting','Stealing']"], "train: classes", "error", "RoadAccidents"),
    (lambda entries: [e for e in entries if "Normal" not in e["f_path"]], ["batch_size=2"],
     "train: kinds", "warning", "no video is normal"),
    (lambda entries: [{**e, "global_caption": "the same"} for e in entries], [],
     "train: duplicates", "warning", "88% of the captions"),
    (lambda entries: [{**e, "global_caption": "一辆车"} for e in entries], [],
     "train: captions", "warning", "8 texts hold Chinese"),
    (None, ["forbid_list=None"], "train: test videos", "warning", "not known"),
    (None, ["forbid_list='${data_root}/Anomaly_Train.txt'"], "train: test videos", "error", "8 of 8 entries"),
    (None, ["forbid_list='${data_root}/nowhere.txt'"], "train: test videos", "error", "nowhere.txt"),
    (None, ["test_videos='${data_root}/nowhere.txt'"], "test: videos to score", "warning", "nowhere.txt"),
    (None, ["batch_size=1"], "negatives", "error", "one video has no negatives"),
    (None, ["batch_size=1", "bank=True"], "negatives", "ok", "the loss at chance level is (ln 5 + ln 1) / 2"),
    (None, ["ann_files='${data_root}/none.json'"], "train: captions", "error", "none.json does not exist; expected"),
    (None, ["batch_size=9"], "steps", "error", "8 samples make no batch of 9"),
    (None, ["end_epoch=2"], "steps", "warning", "fewer than 10 steps"),
])  # fmt: skip
def test_what_is_wrong_is_told(change, options, name, level, told, changed, verdicts):
    found, code = verdicts(changed(change), *options)
    assert found[name]["level"] == level and told in found[name]["found"], found
    assert code == (level == "error") and bool(found[name]["hint"]) == (level != "ok")


def test_videos_that_do_not_decode_are_told(changed, verdicts, region_set):
    root = changed()
    (root / "Videos").unlink()
    shutil.copytree(region_set / "Videos", root / "Videos")
    path = next((root / "Videos" / "Arson").glob("Arson001*"))
    path.write_bytes(path.read_bytes()[:400])
    found, code = verdicts(root, fast=False)
    assert code == 1 and "Arson001" in found["train: frames"]["found"] and "weights" not in found


def test_weights_that_do_not_fit_and_none_at_all(region_set, verdicts):
    found, code = verdicts(region_set, "clip_pretrained='${data_root}/demo.json'", fast=False)
    assert code == 1 and found["weights"]["level"] == "error" and "step" not in found
    found, code = verdicts(region_set, "clip_pretrained=None", fast=False)
    assert code == 0 and found["weights"]["level"] == "warning" and "random" in found["weights"]["found"]


def test_one_video_beside_a_queue_that_is_empty_is_no_error(region_set, verdicts):
    found, _ = verdicts(region_set, "batch_size=1", "queue=8", "max_regions=1", fast=False)
    assert found["step"]["level"] == "warning" and "empty in this trial" in found["step"]["hint"]
    assert "ln 9 = " in found["negatives"]["found"]


def test_losses_that_are_not_finite_and_gradients_that_reach_nothing(region_set, verdicts, monkeypatch):
    cls = MODELS.find("FGCLIP")
    forward = cls.forward
    lost = float("nan")
    monkeypatch.setattr(
        cls, "forward", lambda self, batch: {n: v * lost for n, v in losses_and_logged(forward(self, batch))[0].items()}
    )
    found, code = verdicts(region_set, fast=False)
    assert code == 1 and "losses are not finite" in found["step"]["found"]
    still = {"global_loss": torch.ones(()), "region_loss": torch.ones(())}
    monkeypatch.setattr(cls, "forward", lambda self, batch: still)
    found, code = verdicts(region_set, fast=False)
    assert code == 1 and "no gradient reaches vision, text" in found["step"]["found"]


def test_other_families_are_tried_too(tmp_path, capsys):
    data = make_clip_set(tmp_path / "set", train=3, test=1)
    options = [word for word in tiny(data) if not word.startswith("evaluation")]
    assert main([CONFIGS / "dual_coop.py", "--device", "cpu", "--cfg-options", *options]) == 0
    text = capsys.readouterr().out
    assert "ok       step " in text and "gradients model" in text and "ok       weights" in text


def test_a_training_begins_with_the_fast_form(changed, tmp_path, capsys):
    root = changed(renamed)
    words = ["--work-dir", tmp_path / "exps", "--device", "cpu", "--cfg-options", f"data_root={root}"]
    assert call("train", [CONFIG, *words]) == 1
    text = capsys.readouterr().err
    assert "files  7 of 8 videos have a file" in text and "the dataset has errors" in text
    assert not list((tmp_path / "exps").rglob("*.pth"))


def test_findings_are_the_verdicts_that_are_not_ok(region_set):
    data = {"ann_files": str(region_set / "train.json"), "root": str(region_set), "frames": 4}
    findings = check_dataset({"type": "RegionVideoDataset", **data}, full=False)
    assert [(f.level, f.name) for f in findings] == [("warning", "test videos")]


def test_texts_that_are_all_the_same_are_a_warning_where_they_are_learned_from(region_set, tmp_path):
    entries = json.loads((region_set / "train.json").read_text())
    for entry in entries:
        entry["global_caption"] = "A street."
    (tmp_path / "train.json").write_text(json.dumps(entries))
    data = {
        "type": "RegionVideoDataset",
        "ann_files": str(tmp_path / "train.json"),
        "root": str(region_set),
        "frames": 4,
    }
    found = [check_dataset({**data, "test_mode": mode}, full=False) for mode in (False, True)]
    assert [[f.name for f in own] for own in found] == [["duplicates", "test videos"], []]


def test_verdicts_as_a_table():
    rows = [
        judge("a", "fine", hint="nothing"),
        judge("long name", "7", error="bad", hint="mend"),
        judge("c", "", warning="w"),
    ]
    assert result_table(rows).splitlines() == [
        "ok       a          fine",
        "error    long name  bad; 7",
        "                    -> mend",
        "warning  c          w",
        "1 error, 1 warning, 1 ok",
    ]
    assert attempt("x", lambda: {}["key"])[0].found == "key" and attempt("x", lambda: rows[0]) == rows[:1]
    with pytest.raises(ZeroDivisionError):  # what is no mistake of the user stays an error of ours
        attempt("x", lambda: 1 / 0)
