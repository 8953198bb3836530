"""The installed package: configs inside it, found from an empty folder, and nothing written beside the code."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from places import ROOT

SOURCES = ("opentad_bi", "configs", "pyproject.toml", "setup.py", "requirements.txt", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of a copy of the sources: a build leaves its own files there."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    pip = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--no-index", "-w", "dist"]
    made = subprocess.run(pip, cwd=folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def package(wheel, tmp_path_factory):
    """The folder of the installed package, which cannot be written to."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", str(wheel), "--no-deps", "--no-index", "--no-compile", "--target"]
    subprocess.run([*pip, str(folder)], check=True, capture_output=True)
    inside = [folder, *folder.rglob("*")]
    for path in inside:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder / "opentad_bi"
    for path in inside:
        path.chmod(0o755)


@pytest.fixture
def installed(package, tmp_path, tmp_path_factory):
    """Runs a command of the installed package in an empty folder; what it prints. Nothing may change in the package."""
    cache = tmp_path_factory.mktemp("compiled")

    def run(*words):
        before = {path: path.stat().st_mtime_ns for path in package.rglob("*")}
        # no compiled modules either: the superuser may write wherever it likes, and would leave them
        environment = os.environ | {
            "PYTHONPATH": str(package.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(cache),
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [sys.executable, "-m", "opentad_bi", *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert before == {path: path.stat().st_mtime_ns for path in package.rglob("*")}
        return done.stdout

    return run


def test_all_configs_are_in_the_wheel_and_nothing_beside_the_package(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"opentad_bi/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").rglob("*.py")}
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "opentad_bi").rglob("*.py")}
    assert configs | code <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"opentad_bi"}


def test_configs_of_the_installed_package_are_listed_shown_and_copied(installed, tmp_path):
    assert "demo/pair_exp1 " in installed("config", "list", "pair_exp1")
    shown = installed("config", "show", "pair_exp3_2", "--origin")
    assert "# _base_/fusions/exp3_2.py" in shown
    assert installed("config", "show", "configs/demo/pair_exp3_2.py").splitlines()[0] == "# demo/pair_exp3_2.py"
    assert list(tmp_path.iterdir()) == []
    installed("config", "copy", "demo/pair_exp3_2", "mine")
    edited = installed("config", "show", "mine/pair_exp3_2.py", "--origin", "--options", "end_epoch=3")
    assert "'end_epoch': 3,  # demo/pair_exp1_1.py, --options" in edited


@pytest.mark.slow
def test_an_installed_package_trains_tests_and_detects_from_an_empty_folder(installed, tmp_path):
    installed("demo-data", "detection", "--videos", "3")
    installed("config", "copy", "demo/single_for", "mine")
    small = ["end_epoch=1", "warmup_epoch=0", "solver.train.num_workers=0", "solver.test.num_workers=0"]
    config, device = "mine/single_for.py", ["--device", "cpu"]
    installed("train", config, *device, "--cfg-options", "work_dir=exps/mine", *small)
    checkpoint = "exps/mine/gpu1_id0/checkpoint/best.pth"
    words = ["--checkpoint", checkpoint, "--save-dir", "results", "--out", "metrics.json", *device]
    installed("test", config, *words, "--cfg-options", *small)
    truth = "data/demo/annotations/thumos_14_anno.json"
    words = ["--predictions", "results/result_detection.json", "--ground-truth", truth, "--subset", "validation"]
    assert "average_mAP" in installed("evaluate", *words)
    video = next((tmp_path / "data" / "demo" / "raw_data").glob("video_validation_*.mp4"))
    installed("detect", "demo/single_for", checkpoint, video, "--out", "found", *device)
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"data", "exps", "found", "metrics.json", "metrics.made_of.json", "mine", "results"}
    assert {"detections.json", f"{video.stem}.html"} <= {path.name for path in (tmp_path / "found").iterdir()}
