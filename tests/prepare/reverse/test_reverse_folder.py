"""Reversing whole folders: names, resuming after a kill, failures that stop nothing else."""

import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from places import ROOT
from tiny_clips import decode, write_clip

from opentad_bi.cli.main import call
from opentad_bi.prepare.frames import index_frames
from opentad_bi.prepare.reverse import video as reverse_video_module
from opentad_bi.prepare.reverse.folder import plan
from opentad_bi.prepare.reverse.video import made_of, reverse_video
from opentad_bi.utils.files import atomic
from opentad_bi.utils.provenance import source_stamp

main = partial(call, "reverse-videos")

TOOLS = ROOT / "tools"


@pytest.fixture
def folder(tmp_path):
    for name, count in (("a.mp4", 12), ("deep/b.mp4", 9), ("deep/c.avi", 10)):
        write_clip(tmp_path / "src" / name, count)
    return tmp_path


def test_relative_names_are_kept_and_a_second_run_skips(folder, capsys):
    args = [str(folder / "src"), str(folder / "dst"), "--workers", "1", "--lossless", "--verify"]
    assert main(args) == 0
    assert {p.relative_to(folder / "dst").as_posix() for p in (folder / "dst").rglob("*.*")} == {
        "a.mp4",
        "deep/b.mp4",
        "deep/c.mp4",
    }
    assert np.array_equal(decode(folder / "dst/deep/b.mp4")[0], decode(folder / "src/deep/b.mp4")[0][::-1])
    stamp = (folder / "dst/a.mp4").stat().st_mtime_ns
    capsys.readouterr()
    assert main(args) == 0
    assert (folder / "dst/a.mp4").stat().st_mtime_ns == stamp
    assert capsys.readouterr().out.split("finished")[1].split()[:2] == ["3", "31"]


def test_worker_processes_give_the_same(folder):
    assert main([str(folder / "src"), str(folder / "dst"), "--workers", "2", "--lossless"]) == 0
    assert np.array_equal(decode(folder / "dst/a.mp4")[0], decode(folder / "src/a.mp4")[0][::-1])


def test_one_failure_does_not_stop_the_others(folder, capsys):
    (folder / "src/0_broken.mp4").write_bytes(b"not a video")
    assert main([str(folder / "src"), str(folder / "dst"), "--workers", "1"]) == 1
    out = capsys.readouterr().out
    assert "0_broken.mp4" in out and (folder / "dst/deep/c.mp4").exists()


def test_a_result_of_another_length_is_reported_not_replaced(folder, capsys):
    other = write_clip(folder / "dst/a.mp4", 5)
    before = other.read_bytes()
    args = [str(folder / "src"), str(folder / "dst"), "--workers", "1"]
    assert main(args) == 1
    assert "5 frames, its source 12" in capsys.readouterr().out and other.read_bytes() == before
    assert main([*args, "--overwrite"]) == 0
    assert len(index_frames(other)) == 12


def test_refusals(folder, capsys):
    src = str(folder / "src")
    assert main([src, src]) == 1
    assert main([src, src + "/back"]) == 1
    assert "cannot go into" in capsys.readouterr().err
    assert main([src + "/nowhere", src + "2"]) == 1
    assert main([src + "/a.mp4", src + "/a.mp4", "--overwrite"]) == 1
    write_clip(folder / "src/deep/c.mp4", 3)
    with pytest.raises(ValueError, match="both be reversed"):
        plan(folder / "src", folder / "dst")


def test_only_the_named_suffixes(folder):
    assert [j.src.name for j in plan(folder / "src", folder / "dst", extensions=["avi"])] == ["c.avi"]


def test_killed_midway_leaves_no_result_and_a_rerun_finishes(tmp_path):
    write_clip(tmp_path / "src/long.mp4", 4000)
    command = [TOOLS / "Reverse_Playback_Video_Generator.py", tmp_path / "src", tmp_path / "dst", "--workers", "1"]
    command = [sys.executable, *command, "--preset", "veryslow", "--lossless"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("dst/.long.*.tmp.mp4")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "dst/long.mp4").exists()
    assert main([str(tmp_path / "src"), str(tmp_path / "dst"), "--preset", "ultrafast", "--workers", "1"]) == 0
    assert len(index_frames(tmp_path / "dst/long.mp4")) == 4000


def test_temporary_files_of_killed_runs_are_removed_and_those_of_running_ones_stay(folder):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = folder / f"dst/.b.{ended.pid}0a1b2c.tmp.mp4"
    with atomic(folder / "dst/b.mp4") as running:
        for path in (running, left):
            path.write_bytes(b"x")
            os.utime(path, (0, 0))
        assert main([str(folder / "src"), str(folder / "dst"), "--workers", "1"]) == 0
        assert running.exists() and not left.exists()


def test_a_replaced_source_or_other_settings_are_reversed_anew(folder, capsys):
    args = [str(folder / "src"), str(folder / "dst"), "--workers", "1"]
    assert main(args) == 0
    write_clip(folder / "src/a.mp4", 12, options={"crf": "35"})
    (folder / "src/deep/b.mp4").touch()
    assert main([*args, "--verify"]) == 0
    text = capsys.readouterr().out
    assert text.count("is made again") == 1 and f"{folder / 'dst/a.mp4'} is made again: its source has" in text
    assert main([*args, "--lossless"]) == 0
    text = capsys.readouterr().out
    assert text.count("is made again: lossless was False and is True") == 3
    assert np.array_equal(decode(folder / "dst/a.mp4")[0], decode(folder / "src/a.mp4")[0][::-1])
    assert main([*args, "--lossless"]) == 0
    assert capsys.readouterr().out.split("finished")[1].split()[0] == "3"


def test_results_of_an_older_version_stay_and_it_is_said(folder, capsys, monkeypatch):
    args = [str(folder / "src"), str(folder / "dst"), "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(reverse_video_module, "REVERSED", "of somebody else")
        assert main(args) == 0
    capsys.readouterr()
    assert main(args) == 0
    text = capsys.readouterr().out
    assert (
        text.split("finished")[1].split()[0] == "3" and "3 finished: the result does not say what it was made" in text
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_every_container_keeps_what_it_was_made_of(tmp_path, suffix):
    src = write_clip(tmp_path / f"a{suffix}", 5)
    reverse_video(src, tmp_path / f"b{suffix}", crf=20)
    kept = made_of(tmp_path / f"b{suffix}")
    assert kept["source"]["edges"] == source_stamp(src)["edges"]
    assert kept["settings"]["crf"] == 20 and made_of(src) is None
