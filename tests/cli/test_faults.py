"""What goes wrong for users reaches them as one clear message: the whole command, on small real videos."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from places import ROOT

from opentad_bi.cli.main import call, run_command

FPS, FRAMES, SIZE = 25, 40, 32
LABELS = ("Dive", "Jump", "Throw")


def write_video(path):
    """A short H.264 file of noise."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        rng = np.random.default_rng(0)
        for image in rng.integers(0, 255, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """The bytes of a sound video."""
    path = tmp_path_factory.mktemp("video") / "sound.mp4"
    write_video(path)
    return path.read_bytes()


@pytest.fixture
def data(tmp_path, video):
    """A data set of four training videos and one of validation, in the folder `tmp_path`; returns its database."""
    database = {}
    for i, subset in enumerate(("training",) * 4 + ("validation",)):
        (tmp_path / f"v{i}.mp4").write_bytes(video)
        actions = [{"segment": [0.2 + 0.4 * k, 0.5 + 0.4 * k], "label": label} for k, label in enumerate(LABELS)]
        database[f"v{i}"] = {"subset": subset, "duration": FRAMES / FPS, "frame": FRAMES, "annotations": actions}
    (tmp_path / "classes.txt").write_text("\n".join(LABELS))
    return database


@pytest.fixture
def command(data, tmp_path, monkeypatch, capsys):
    """Run opentad-bi train in this process on the data as it is then; returns the exit code and what stderr got."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "engine"))
    import tiny_detector as tiny

    def run(*words):
        annotation = tmp_path / "annotation.json"
        if not annotation.exists():
            annotation.write_text(json.dumps({"database": data}))
        load = {"type": "LoadFrames", "method": "random_trunc", "trunc_len": tiny.LENGTH}
        videos = {
            "type": "ThumosPaddingDataset",
            "ann_file": str(annotation),
            "subset_name": "training",
            "class_map": str(tmp_path / "classes.txt"),
            "data_path": str(tmp_path),
            "feature_stride": 1,
            "pipeline": [load, {"type": "DecodeFrames"}, {"type": "Collect"}],
        }
        test = {**videos, "subset_name": "validation", "test_mode": True}
        branches = {"model": tiny.branch(load_from=None, continue_from=None)}
        cfg = tiny.run_config(tiny.detector(), branches, {"train": videos, "test": test})
        cfg.solver.train.num_workers = 1
        cfg.work_dir = str(tmp_path / "exps")
        text = "\n".join(f"{key} = {value!r}" for key, value in cfg.to_dict().items())
        (tmp_path / "config.py").write_text(text)
        code = call("train", [tmp_path / "config.py", *words])
        return code, capsys.readouterr().err

    yield run
    torch.use_deterministic_algorithms(False)


def last_line(text):
    return text.strip().splitlines()[-1]


def test_sound_data_trains(command, tmp_path):
    assert command()[0] == 0
    assert (tmp_path / "exps" / "gpu1_id0" / "checkpoint" / "epoch_1.pth").is_file()


def test_a_video_cut_short_during_training_is_named(command, tmp_path, video):
    (tmp_path / "v2.mp4").write_bytes(video[: len(video) // 2])
    code, errors = command("--skip-check")
    assert code == 1
    assert last_line(errors).startswith(f"error: video {tmp_path / 'v2.mp4'} is cut short: its last ")
    assert "Traceback" not in errors
    code, errors = command()
    assert code == 1 and last_line(errors).startswith("error: the dataset has errors")
    assert f"video {tmp_path / 'v2.mp4'} is cut short: its last " in errors


def test_a_video_missing_during_training_is_named(command, tmp_path):
    (tmp_path / "v1.mp4").unlink()
    code, errors = command("--skip-check")
    assert code == 1
    assert (
        last_line(errors)
        == f"error: video 'v1' is not in {tmp_path} (tried mp4, avi, mkv, webm, mov, m4v, mpg, mpeg, ts, wmv, flv)"
    )
    assert "Traceback" not in errors


def test_an_error_of_a_worker_keeps_its_traceback_on_request(command, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENTAD_BI_TRACEBACK", "1")
    (tmp_path / "v1.mp4").unlink()
    with pytest.raises(FileNotFoundError, match="video 'v1' is not in") as error:
        command("--skip-check")
    assert "Traceback (most recent call last)" in str(error.value.__cause__)  # of the worker


FAULTS = {
    "unreadable annotation": (
        lambda data, folder: (folder / "annotation.json").write_text('{"database": {'),
        "annotation.json is not valid JSON",
    ),
    "label outside the class map": (
        lambda data, folder: data["v1"]["annotations"][0].update(label="Dvie"),
        r"v1  labels ['Dvie'] are not in the class map",
    ),
    "segment outside the video": (
        lambda data, folder: data["v3"]["annotations"][0].update(segment=[0.5, 99.0]),
        "v3  segment [0.5, 99.0] is not inside the video",
    ),
    "zero valid ground truth": (
        lambda data, folder: [entry.update(annotations=[]) for entry in data.values()],
        "no video of subset 'training' has ground truth",
    ),
    "missing video": (
        lambda data, folder: (folder / "v4.mp4").unlink(),
        "v4  video 'v4' is not in",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_data_end_the_run_before_it_starts(fault, command, data, tmp_path):
    spoil, message = FAULTS[fault]
    spoil(data, tmp_path)
    code, errors = command()
    assert code == 1
    assert message in errors
    assert last_line(errors).startswith("error: the dataset has errors, listed above")
    assert "Traceback" not in errors


def test_a_checkpoint_with_code_is_refused(command, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"format": 1, "state_dict": Evil()}, tmp_path / "evil.pth")
    code, errors = command("--resume", tmp_path / "evil.pth")
    assert code == 1
    assert last_line(errors).startswith(f"error: checkpoint {tmp_path / 'evil.pth'} holds more than tensors")
    assert not (tmp_path / "owned").exists()


def test_weights_alone_are_no_run_to_resume(command, tmp_path):
    torch.save({"epoch": 3, "score": 0.5, "state_dict": {}, "state_dict_ema": {}}, tmp_path / "best.pth")
    code, errors = command("--resume", tmp_path / "best.pth")
    assert code == 1
    assert last_line(errors).startswith(f"error: {tmp_path / 'best.pth'} holds no run to resume")


def test_ctrl_c_outside_the_loop_is_no_traceback(capsys):
    def main():
        raise KeyboardInterrupt

    assert run_command(main) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_missing_packages_are_named_with_the_cure(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    code, errors = command("--skip-check", "--cfg-options", "workflow.tensorboard=True")
    assert code == 1
    assert last_line(errors) == "error: torch.utils.tensorboard is needed here: pip install tensorboard"


@pytest.mark.parametrize(
    ("name", "way", "message"),
    [
        ("bitflip_in_weight.pth", "load_from", "is damaged: 'archive/data/2' in it differs from its checksum (CRC-32)"),
        (
            "checkpoint.flip_UnicodeDecodeError_utils.weight_files.py_35.bin",
            "load_from",
            "is damaged or not a whole zip",
        ),
        (
            "checkpoint.obj_RuntimeError_engine.weights.py_38.ckpt",
            "load_from",
            "holds weights that are not dense tensors",
        ),
        ("checkpoint.continue_from_RuntimeError_engine.continuing.py_66.pt", "continue_from", "not dense tensors"),
    ],
)
def test_a_users_damaged_weights_are_one_error(command, name, way, message):
    path = Path(os.environ.get("OPENTAD_SHARED", ROOT.parent / "shared")) / "cases" / "files" / name
    if not path.is_file():
        pytest.skip(f"{path} is not here; set OPENTAD_SHARED to the folder above cases/")
    code, errors = command("--cfg-options", f"branches.model.{way}={path}")
    assert code == 1 and "Traceback" not in errors
    assert last_line(errors).startswith(f"error: {path}") and message in last_line(errors)
