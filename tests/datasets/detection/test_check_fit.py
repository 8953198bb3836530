"""Files that do not fit their annotation are found from their headers, and the value that would fit is named."""

import json

import numpy as np
import pytest
import torch
from dataset_files import FPS, FRAMES, feature_pipeline, frame_pipeline

from opentad_bi.cli.main import call
from opentad_bi.datasets.common.fit import BY_CONTENT, BY_HEADER, misfit
from opentad_bi.datasets.detection.check import check_dataset
from opentad_bi.datasets.readers.pyav import read_header
from opentad_bi.registry import DATASETS
from opentad_bi.utils.provenance import source_stamp

LONG = {"a": 1800, "b": 2437, "c": 3001, "d": 905, "e": 1203}  # frames at 30 per second


def lines(found, level="error"):
    return [finding.found for finding in found if finding.level == level]


@pytest.fixture
def table(make, database, tmp_path):
    """`table(rows, width, form="npy")` writes features of longer videos; gives `cfg(**arguments)` over them."""

    def build(rows, width=8, form="npy"):
        database.clear()
        for number, (name, frames) in enumerate(LONG.items()):
            item = {"segment": [1.0, 3.0], "label": "Dive"}
            database[name] = {"subset": "training", "duration": frames / 30, "frame": frames, "annotations": [item]}
            shape = (rows(frames), width) if isinstance(width, int) else width(rows(frames))
            feats = np.full(shape, number, np.float32)
            if form == "npy":
                np.save(tmp_path / f"{name}.npy", feats)
            elif form == "npz":
                np.savez(tmp_path / f"{name}.npz", feats=feats)
            elif form == "pt":
                torch.save(torch.from_numpy(feats), tmp_path / f"{name}.pt")
            else:
                np.savetxt(tmp_path / f"{name}.csv", feats, delimiter=",")
        pipeline = feature_pipeline()
        pipeline[0]["feat_format"] = form
        return lambda **arguments: make(data_path=str(tmp_path), pipeline=pipeline, **arguments)

    return build


CONVENTIONS = {
    "ceil": lambda frames: -(-frames // 4),
    "floor": lambda frames: frames // 4,
    "i3d": lambda frames: (frames - 16) // 4 + 1,
    "padded": lambda frames: frames // 4 + 1,
}


@pytest.mark.parametrize("rows", CONVENTIONS.values(), ids=CONVENTIONS)
@pytest.mark.parametrize("full", [False, True])
def test_sound_features_say_nothing(table, rows, full):
    cfg = table(rows)
    assert check_dataset(cfg(), full=full) == check_dataset(cfg(fps=30), full=full) == []


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("form", ["npy", "npz", "pt", "csv"])
def test_another_stride_is_an_error_that_names_it(table, full, form):
    found = lines(check_dataset(table(CONVENTIONS["i3d"], form=form)(feature_stride=8), full=full))
    (line,) = [line for line in found if "feature_stride and fps" in line]
    assert line.startswith("the features of 5 of 5 videos do not have the length that annotation, feature_stride and")
    assert line.endswith("rows fit feature_stride=4")
    assert len(found) == (6 if full else 1)


def test_a_coarser_grid_than_configured(table):
    (line,) = lines(check_dataset(table(lambda frames: frames // 16)(feature_stride=4), full=False))
    assert line.endswith("rows fit feature_stride=16")


def test_another_frame_rate_is_a_warning_that_names_it(table):
    cfg = table(lambda frames: (int(frames * 25 / 30) - 16) // 4 + 1)
    for arguments in ({}, {"fps": 30}):
        found = check_dataset(cfg(**arguments), full=False)
        (line,) = lines(found, "warning")
        assert lines(found) == []
        assert "5 of 5 videos" in line and "by over 2%" in line and line.endswith("rows fit fps=25 of the dataset")
        assert lines(check_dataset(cfg(**arguments)))  # the full check counts a tenth as an error
    assert check_dataset(cfg(fps=25), full=False) == []


def test_transposed_features(table):
    cfg = table(CONVENTIONS["ceil"], width=lambda rows: (64, rows))
    (line,) = lines(check_dataset(cfg(), full=False))
    assert line.endswith("they are (channels, positions): transpose them")
    (line,) = lines(check_dataset(cfg(feature_stride=1), full=False))
    assert line.endswith("all have 64 rows: they may be (channels, positions), and have to be transposed")


def test_one_file_of_many(table, tmp_path):
    cfg = table(CONVENTIONS["ceil"])
    np.save(tmp_path / "b.npy", np.zeros((300, 8), np.float32))
    np.save(tmp_path / "c.npy", np.zeros((700, 8), np.float32))
    (tmp_path / "d.npy").write_bytes(b"damaged")
    found = check_dataset(cfg(), full=False)
    damaged, line = sorted(lines(found), key=len)
    assert "d.npy cannot be read" in damaged
    assert "1 of 4 videos" in line and "b.npy stand for 1200 frames (stride 4), the annotation says 2437" in line
    (line,) = lines(found, "warning")
    assert "c.npy stand for 2800 frames" in line


@pytest.mark.parametrize("full", [False, True])
def test_features_of_other_channels(table, tmp_path, full):
    cfg = table(CONVENTIONS["ceil"])
    assert not check_dataset(cfg(), full=full)
    np.save(tmp_path / "b.npy", np.zeros((CONVENTIONS["ceil"](LONG["b"]), 6), np.float32))
    assert lines(check_dataset(cfg(), full=full)) == ["features have 8 channels, but not those of 1 videos: b 6"]
    dataset = DATASETS.build(cfg())
    with pytest.raises(ValueError, match="different numbers of channels: 'a' 8, 'b' 6"):
        dataset.collate([dataset[0], dataset[1]])


def test_one_file_proposes_nothing_for_all(table, tmp_path):
    cfg = table(CONVENTIONS["ceil"])
    np.save(tmp_path / "b.npy", np.zeros((100, 8), np.float32))
    (line,) = lines(check_dataset(cfg(), full=False))
    assert "1 of 5 videos" in line and line.endswith("the annotation says 2437")


@pytest.mark.parametrize("full", [False, True])
def test_features_of_a_replaced_video(table, tmp_path, full):
    cfg, name = table(CONVENTIONS["ceil"])(), next(iter(LONG))
    video = tmp_path / "film.mp4"
    video.write_bytes(b"one")
    record = tmp_path / f"{name}.json"
    record.write_text(json.dumps({"source": source_stamp(video)}))
    assert check_dataset(cfg, full=full) == []
    video.write_bytes(b"other")
    (found,) = check_dataset(cfg, full=full)
    text = f"features {tmp_path / name}.npy are of a video that was replaced since: it has 5 bytes and had 3"
    assert (found.level, found.video) == ("error", name) and found.found.startswith(text)
    for other in ([1], {"source": "camera 3"}, {"source": {"path": str(video)}}):  # a record of another tool
        record.write_text(json.dumps(other))
        assert check_dataset(cfg, full=full) == []


def test_frame_against_duration_and_fps(table, database):
    cfg = table(CONVENTIONS["ceil"])
    for entry in database.values():
        entry["fps"] = 30
    assert check_dataset(cfg(), full=False) == []
    database["a"]["fps"], database["b"]["fps"] = 25, 60
    found = check_dataset(cfg(), full=False)
    assert "a: frame 1800, but 60.0 s at 25 fps are 1500 frames" in lines(found, "warning")[0]
    assert "b: frame 2437" in lines(found)[0]


def test_windows(table, tmp_path, make):
    table(CONVENTIONS["ceil"])
    for name, frames in LONG.items():
        positions = -(-frames // 4)
        starts = [*range(0, positions - 64, 48), positions - 64]
        np.save(tmp_path / f"{name}.npy", np.zeros((len(starts), 64, 8), np.float16))
        record = {"starts": starts, "valid": [64] * len(starts)}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    pipeline = [{"type": "LoadWindowFeats"}, {"type": "Collect", "inputs": "feats"}]
    about = {"kind": "ThumosSlidingDataset", "data_path": str(tmp_path), "pipeline": pipeline, "window_size": 64}
    assert check_dataset(make(**about), full=False) == []
    found = lines(check_dataset(make(**about, feature_stride=8), full=False))
    assert any(line.endswith("rows fit feature_stride=4") for line in found)
    assert "of windows of 64 positions" in lines(check_dataset(make(**{**about, "window_size": 32}), full=False))[0]


def test_header_of_a_video(videos, tmp_path):
    header = read_header(videos / "for" / "long.mp4")
    assert header.fps == FPS
    assert set(header.frames) == {FRAMES["long"]}
    assert header.seconds == pytest.approx((FRAMES["long"] / FPS,) * 2)
    (tmp_path / "no.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"no\.mp4 cannot be opened"):
        read_header(tmp_path / "no.mp4")


@pytest.mark.parametrize("full", [False, True])
def test_videos_against_durations_and_frames(make, database, videos, full):
    def cfg(**arguments):
        return make(data_path=str(videos / "for"), pipeline=frame_pipeline(), **arguments)

    database["short"]["annotations"].pop()
    database["short"]["annotations"].pop(0)
    assert check_dataset(cfg(), full=full) == []
    assert check_dataset(cfg(fps=25), full=full) == []
    for entry in database.values():
        entry["duration"] *= 1.2
    found = check_dataset(cfg(), full=full)
    line = " ".join(lines(found) if full else lines(found, "warning"))
    assert "long.mp4 lasts 9.20 s, by the annotation 11.04 s" in line
    for entry in database.values():
        entry["duration"] /= 1.2
    found = check_dataset(cfg(fps=60), full=full)
    assert "long.mp4 has 230 frames, the annotation 552 (the file: 25 frames per second)" in " ".join(lines(found))
    assert "the files have 0.417 times as many" in " ".join(lines(found))


@pytest.mark.parametrize(
    ("found", "expected", "limits", "level"),
    [
        (100, 100, BY_HEADER, None),
        (108, 100, BY_HEADER, None),
        (109, 100, BY_HEADER, "warning"),
        (1019, 1000, BY_HEADER, None),
        (1021, 1000, BY_HEADER, "warning"),
        (1991, 1000, BY_HEADER, "warning"),
        (1992, 1000, BY_HEADER, "error"),
        (500, 1000, BY_HEADER, "error"),
        (510, 1000, BY_HEADER, "warning"),
        (1, 20, BY_HEADER, "error"),
        (1200, 1000, BY_CONTENT, "error"),
        (1050, 1000, BY_CONTENT, "warning"),
    ],
)
def test_levels(found, expected, limits, level):
    assert misfit(found, expected, 8, limits) == level


@pytest.fixture
def config(table, tmp_path):
    """`config(stride)` writes a config over features of stride 4; its model is unknown: a run ends behind the check."""

    def write(stride, fps=-1):
        data = table(CONVENTIONS["i3d"])(feature_stride=stride, fps=fps)
        path = tmp_path / "config.py"
        path.write_text(
            f"dataset = dict(train={data!r}, test={data!r})\n"
            "model = dict(type='Unknown')\nbranches = dict(model=dict())\n"
            "solver = dict(train=dict(batch_size=1, num_workers=0))\nworkflow = dict(end_epoch=1)\n"
            "evaluation = dict(type='mAP')\n"
            f"work_dir = {str(tmp_path / 'exps')!r}\n"
        )
        return [str(path), "--device", "cpu"]

    return write


@pytest.mark.parametrize("command", ["train", "test"])
def test_training_and_test_begin_with_the_check(config, capsys, command):
    words = config(8)
    assert call(command, words) == 1
    text = capsys.readouterr().err
    assert "rows fit feature_stride=4" in text and "error: the dataset has errors" in text
    assert text.count("rows fit") == 1  # both splits are the same data
    assert call(command, [*words, "--skip-check"]) == 1
    assert "'Unknown'" in (text := capsys.readouterr().err) and "feature_stride=4" not in text
    words = config(4, fps=25)
    assert call(command, words) == 1
    assert "by over 2%" in (text := capsys.readouterr().err) and "'Unknown'" in text
    assert call(command, [*words, "--strict"]) == 1
    assert "which --strict makes errors" in (text := capsys.readouterr().err) and "'Unknown'" not in text
    assert call(command, config(4)) == 1
    assert "do not have the length" not in capsys.readouterr().err
