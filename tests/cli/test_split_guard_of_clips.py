"""Videos to learn from are not tested on: as `train`, `test` and the commands of the methods find them."""

import json
import shutil

import pytest
import torch
from clip_set import CONFIGS, make_clip_set, tiny, undo_kernels

from opentad_bi.cli.main import call
from opentad_bi.engine.data import read_record
from opentad_bi.utils.weight_files import load_checkpoint

CONFIG = str(CONFIGS / "video_coop.py")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run on the generated set: its folder, the set, and the words of its config."""
    folder = tmp_path_factory.mktemp("guard")
    data = make_clip_set(folder / "data", train=4, test=2)
    words = tiny(data)
    assert call("train", [CONFIG, "--work_dir", str(folder / "run"), "--device", "cpu", "--cfg-options", *words]) == 0
    undo_kernels()
    return folder, data, words


def lists(data):
    return {part: (data / f"annotations/{part}.txt").read_text().splitlines() for part in ("train", "test")}


def evaluate(run, *options, flags=()):
    folder, _, words = run
    given = ["--work_dir", str(folder / "run"), "--device", "cpu", *flags]
    return call("test", [CONFIG, *given, "--cfg-options", *words, *options])


def test_the_run_folder_and_the_checkpoints_list_what_was_drawn(run):
    folder, data, _ = run
    told = json.loads((folder / "run/gpu1_id0/videos.json").read_text())
    assert {name: len(told[name]["videos"]) for name in ("train", "val")} == {"train": 8, "val": 4}
    paths = [row["path"] for name in ("train", "val") for row in told[name]["videos"]]
    assert set(paths) < {line.split()[0] for line in lists(data)["train"]} and len(set(paths)) == 12
    row = told["train"]["videos"][0]
    assert row["class"] == row["path"].split("/")[0] and row["bytes"] == (data / "videos" / row["path"]).stat().st_size
    files = [*folder.glob("run/gpu1_id0/checkpoint/*.pth"), folder / "models/video_coop/demo_clips/id0/checkpoint.pth"]
    assert len(files) == 3
    for file in files:
        assert read_record(load_checkpoint(file)) == told
        assert isinstance(torch.load(file, weights_only=True)["videos"], torch.Tensor)


def test_other_videos_are_tested(run):
    assert evaluate(run) == 0


def test_videos_that_were_learned_from_are_not(run, capsys):
    _, data, _ = run
    everything = f"dataset.test.videos.list_file={data / 'annotations/train.txt'}"
    assert evaluate(run, everything) == 1
    error = capsys.readouterr().err
    assert "dataset.test: 8 of 16 videos are among those to learn from (8 by name): " in error
    assert "best.pth" in error and "--allow-overlap" in error
    assert evaluate(run, everything, flags=["--allow_overlap"]) == 0
    assert evaluate(run, everything, "allow_overlap=True") == 0
    assert evaluate(run, flags=["--split", "train"]) == 0  # is meant


def test_copies_of_other_names_are_found(run, tmp_path, capsys):
    folder, data, _ = run
    told = json.loads((folder / "run/gpu1_id0/videos.json").read_text())
    (tmp_path / "videos").mkdir()
    shutil.copytree(data / "videos", tmp_path / "videos", dirs_exist_ok=True)
    row = told["train"]["videos"][0]
    copy = tmp_path / "videos" / row["class"] / "renamed.mp4"
    shutil.copy(data / "videos" / row["path"], copy)
    label = next(line.split()[1] for line in lists(data)["train"] if line.split()[0] == row["path"])
    listed = [*lists(data)["test"], f"{row['class']}/renamed.mp4 {label}"]
    (tmp_path / "test.txt").write_text("\n".join(listed))
    options = [f"dataset.test.videos.list_file={tmp_path / 'test.txt'}", f"dataset.test.root={tmp_path / 'videos'}"]
    assert evaluate(run, *options) == 1
    assert f"1 as copies of another name): {row['class']}/renamed.mp4 (is {row['path']})" in capsys.readouterr().err
    words = [CONFIG, "--work_dir", str(tmp_path / "run"), "--device", "cpu", "--cfg-options", *run[2], *options]
    assert call("train", words) == 1
    assert "dataset.test  1 of 9 videos are among those to learn from" in capsys.readouterr().err
    assert not list(tmp_path.glob("run/**/*.pth"))


def test_lists_of_two_splits_are_refused_before_training(run, tmp_path, capsys):
    data = run[1]
    for name, part in (("trainlist01", "train"), ("testlist01", "test"), ("testlist02", "test")):
        (tmp_path / f"{name}.txt").write_text("\n".join(lists(data)[part]))
    paths = {
        part: f"dataset.{part}.videos.list_file={tmp_path / name}"
        for part, name in (("train", "trainlist01.txt"), ("val", "trainlist01.txt"), ("test", "testlist02.txt"))
    }
    words = ["--dataset", "demo_clips", "--output-dir", str(tmp_path / "run"), "--device", "cpu", "--cfg-options"]
    assert call("run_video_coop", [*words, *tiny(data), *paths.values()]) == 1
    error = capsys.readouterr().err
    assert "dataset.test  split 2 is tested, but split 1 was learned from" in error and "val" not in error
    right = f"dataset.test.videos.list_file={tmp_path / 'testlist01.txt'}"
    named = ["run_id='split1'", f"artifacts={str(tmp_path / 'models')!r}"]
    assert call("run_video_coop", [*words, *tiny(data), *named, *paths.values(), right]) == 0
    undo_kernels()
    given = ["--work_dir", str(tmp_path / "run"), "--device", "cpu", "--cfg-options", *tiny(data)]
    assert call("test", [CONFIG, *given, paths["test"]]) == 1
    assert "split 2 is tested" in capsys.readouterr().err
    assert call("test", [CONFIG, *given, right]) == 0


def test_what_a_run_started_from_counts_too(run, tmp_path, capsys):
    folder, data, words = run
    flags = ["--work_dir", str(tmp_path / "run"), "--device", "cpu", "--cfg-options", *words]
    more = [f"continue_from={str(folder / 'run/gpu1_id0/checkpoint/best.pth')!r}", "sampling_seed=5", "run_id='second'"]
    assert call("train", [CONFIG, *flags, *more]) == 0
    undo_kernels()
    first, second = (json.loads((place / "run/gpu1_id0/videos.json").read_text()) for place in (folder, tmp_path))
    assert second["former"] == [first["train"]] and second["train"] != first["train"]
    only_first = {r["path"] for r in first["train"]["videos"]} - {r["path"] for r in second["train"]["videos"]}
    assert only_first
    (tmp_path / "list.txt").write_text("\n".join(x for x in lists(data)["train"] if x.split()[0] in only_first))
    assert call("test", [CONFIG, *flags, f"dataset.test.videos.list_file={tmp_path / 'list.txt'}"]) == 1
    assert f"{len(only_first)} of {len(only_first)} videos are among those" in capsys.readouterr().err


def test_weights_without_a_record_are_compared_with_the_list_beside_them(run, tmp_path, capsys):
    folder, data, _ = run
    everything = f"dataset.test.videos.list_file={data / 'annotations/train.txt'}"
    state = load_checkpoint(folder / "run/gpu1_id0/checkpoint/best.pth")
    del state["videos"]
    (tmp_path / "checkpoint").mkdir()
    torch.save(state, tmp_path / "checkpoint/old.pth")
    flags = ["--checkpoint", str(tmp_path / "checkpoint/old.pth")]
    assert evaluate(run, everything, flags=flags) == 0
    shutil.copy(folder / "run/gpu1_id0/videos.json", tmp_path)
    assert evaluate(run, everything, flags=flags) == 1
    assert "8 of 16 videos" in capsys.readouterr().err
