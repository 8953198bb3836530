"""`opentad-bi extract-clip-features`: the rows, going on after interruptions, and what it refuses."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from noise_video import write_noise
from places import ROOT

from opentad_bi.cli.extract import clip_features as command
from opentad_bi.cli.extract.folder import FeatureFolder
from opentad_bi.cli.main import call
from opentad_bi.datasets.readers.base import open_video
from opentad_bi.models.clip.loading import load_clip
from opentad_bi.models.clip.preprocess import FramePreprocess

main = partial(call, "extract-clip-features")
SHARED = Path(os.environ.get("OPENTAD_SHARED", ROOT.parent / "shared"))
CLIPS = SHARED / "data" / "videos" / "surveillance" / "fight"
TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 48, "heads": 2, "layers": 1},
}
NTSC = Fraction(30000, 1001)
ODD = "a man! #1 [wide] & (dark) v.2"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Class folders of short videos, and a tiny CLIP model with its weights."""
    root = tmp_path_factory.mktemp("clip_features")
    for name in ("Fight Night", "Normal", "Normal/deep"):
        (root / "videos" / name).mkdir(parents=True)
    write_noise(root / "videos/Normal/film.mp4", 0, 60, size=48, fps=25)
    write_noise(root / f"videos/Fight Night/{ODD}.mkv", 1, 61, size=40, fps=30)
    write_noise(root / "videos/Normal/deep/broadcast.AVI", 2, 95, size=32, fps=NTSC)
    (root / "videos/Normal/notes.txt").write_text("no video")
    (root / "videos/Normal/._film.mp4").write_text("left by a file manager")
    (root / "tiny.json").write_text(json.dumps(TINY))
    torch.manual_seed(1)
    torch.save(load_clip(root / "tiny.json").module.state_dict(), root / "w.pt")
    return root


NAMES = {"Normal/film": 3, f"Fight Night/{ODD}": 3, "Normal/deep/broadcast": 4}


@pytest.fixture
def words(data, tmp_path):
    """Build the words of the command: `words(*more, src=None)`."""

    def build(*more, src=None, out=None):
        model = ["--model", data / "tiny.json", "--pretrained", data / "w.pt", "--device", "cpu", "--num-workers", 0]
        return [src or data / "videos", "--out", out or tmp_path / "out", *model, *more]

    return build


def plain_rows(data, path, per_second=None):
    """The rows by one pass per frame, each second by itself."""
    clip = load_clip(data / "tiny.json", data / "w.pt")
    prepare, rows = FramePreprocess(clip.preprocess), {}
    with open_video(path) as video, torch.no_grad():
        rate = {25.0: Fraction(25), 30.0: Fraction(30)}.get(round(video.fps, 3), NTSC)
        for number in range(len(video)):
            frame = torch.from_numpy(video.frames([number]))
            rows.setdefault(int(number / rate), []).append(clip.module.encode_image(prepare(frame), normalize=True)[0])
    if per_second:
        rows = {s: [r[int((k + 0.5) / per_second * len(r))] for k in range(per_second)] for s, r in rows.items()}
    return np.stack([torch.stack(rows[second]).mean(0).numpy() for second in range(len(rows))])


def paths(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("dtype", "atol"), [("float16", 1e-3), ("float32", 1e-5)])
def test_rows_are_the_means_of_their_seconds(dtype, atol, data, words, tmp_path):
    more = [] if dtype == "float16" else ["--dtype", dtype, "--batch-size", 7]
    assert main(words(*more)) == 0
    out = tmp_path / "out"
    assert paths(out) == sorted(["features.json", *(f"{n}.{e}" for n in NAMES for e in ("json", "npy"))])
    for name, path in command.find_videos(data / "videos").items():
        rows = np.load(out / f"{name}.npy")
        assert rows.dtype == dtype and rows.shape == (NAMES[name], 32)
        np.testing.assert_allclose(rows, plain_rows(data, path), atol=atol)
    facts = json.loads((out / f"Fight Night/{ODD}.json").read_text())
    assert facts.pop("source")["bytes"] == (data / f"videos/Fight Night/{ODD}.mkv").stat().st_size
    assert facts == {"fps": 30.0, "frames": 61, "duration_sec": pytest.approx(61 / 30, abs=1e-5), "rows": 3}


def test_the_record_says_what_made_the_files(data, words, tmp_path):
    main(words("--frames-per-second", 2))
    record = json.loads((tmp_path / "out" / "features.json").read_text())
    clip = load_clip(data / "tiny.json", data / "w.pt")
    assert record["model"] == str(data / "tiny.json") and record["pretrained"] == str(data / "w.pt")
    assert record["weights_sha256"] == clip.digest and record["embed_dim"] == 32 and record["trained"]
    assert record["frames_per_second"] == 2 and record["precision"] == "fp32" and record["dtype"] == "float16"
    assert record["preprocess"]["size"] == 32 and record["unit_sec"] == 1 and "L2-normalised" in record["pooling"]
    assert record["complete"] and record["failed"] == {}


def test_some_frames_of_each_second(data, words, tmp_path):
    path = data / "videos/Normal/film.mp4"
    assert main(words("--frames-per-second", 3, "--dtype", "float32", src=path)) == 0
    assert paths(tmp_path / "out") == ["features.json", "film.json", "film.npy"]
    np.testing.assert_allclose(np.load(tmp_path / "out" / "film.npy"), plain_rows(data, path, 3), atol=1e-5)


def test_worker_processes_change_nothing(words, tmp_path):
    assert main(words(out=tmp_path / "alone")) == 0
    assert main([*words(out=tmp_path / "two")[:-1], 2]) == 0
    for name in NAMES:
        assert (tmp_path / "two" / f"{name}.npy").read_bytes() == (tmp_path / "alone" / f"{name}.npy").read_bytes()


def write_times(path, times_ms):
    """A video with one flat colour per frame, shown at the given milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times_ms):
            image = np.full((32, 32, 3), 20 + 30 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_a_variable_frame_rate_is_followed(data, words, tmp_path):
    times = [0, 100, 900, 1000, 3500, 4100]
    path = tmp_path / "camera.mp4"
    write_times(path, times)
    assert main(words("--dtype", "float32", src=path)) == 0
    clip = load_clip(data / "tiny.json", data / "w.pt")
    with open_video(path) as video, torch.no_grad():
        frames = torch.from_numpy(video.frames(range(6)))
        e = clip.module.encode_image(FramePreprocess(clip.preprocess)(frames), normalize=True).numpy()
    # nothing new is shown in second 2, so it is given the frame of second 1
    np.testing.assert_allclose(
        np.load(tmp_path / "out" / "camera.npy"), [e[:3].mean(0), e[3], e[3], e[4], e[5]], atol=1e-5
    )


def test_an_interrupted_run_goes_on(words, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert main(words(out=whole)) == 0
    save, saved = FeatureFolder.save, []

    def save_one(folder, name, video):
        if saved:
            raise KeyboardInterrupt
        saved.append(name)
        save(folder, name, video)

    with monkeypatch.context() as once:
        once.setattr(FeatureFolder, "save", save_one)
        assert main(words()) == 130
    assert not json.loads((out / "features.json").read_text())["complete"]
    done = out / f"{saved[0]}.npy"
    before = done.stat().st_mtime_ns
    assert [path for path in paths(out) if path.endswith(".npy")] == [f"{saved[0]}.npy"]
    assert main(words()) == 0
    assert done.stat().st_mtime_ns == before and paths(out) == paths(whole)
    assert all((out / path).read_bytes() == (whole / path).read_bytes() for path in paths(out))


def test_other_settings_are_refused(data, words, tmp_path, capsys):
    assert main(words()) == 0
    before = {path: (tmp_path / "out" / path).read_bytes() for path in paths(tmp_path / "out")}
    torch.manual_seed(2)
    torch.save(load_clip(data / "tiny.json").module.state_dict(), tmp_path / "other.pt")
    for more, differ in (
        (["--frames-per-second", 1, "--dtype", "float32"], "frames_per_second, dtype"),
        (["--pretrained", tmp_path / "other.pt"], "weights_sha256"),
        (["--quick-gelu"], "quick_gelu"),
        (["--precision", "bf16"], "precision"),
    ):
        assert main(words(*more)) == 1
        assert f"features made otherwise, in {differ}; choose another --out" in capsys.readouterr().err
    assert before == {path: (tmp_path / "out" / path).read_bytes() for path in paths(tmp_path / "out")}
    assert main(words("--frames-per-second", 1, "--overwrite")) == 0
    assert json.loads((tmp_path / "out" / "features.json").read_text())["frames_per_second"] == 1
    assert before[f"Fight Night/{ODD}.npy"] != (tmp_path / "out" / f"Fight Night/{ODD}.npy").read_bytes()


def test_half_precision_is_close(words, data, tmp_path):
    path = data / "videos/Normal/film.mp4"
    assert main(words("--precision", "bf16", src=path)) == 0
    rows, exact = np.load(tmp_path / "out" / "film.npy"), plain_rows(data, path)
    assert not np.array_equal(rows, exact.astype(np.float16))
    np.testing.assert_allclose(rows, exact, atol=0.02)


def test_damaged_videos_are_named_and_the_others_go_on(data, words, tmp_path, capsys):
    src, out = tmp_path / "src", tmp_path / "out"
    src.mkdir()
    whole = (data / "videos/Normal/film.mp4").read_bytes()
    (src / "good.mp4").write_bytes(whole)
    (src / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (src / "empty.avi").write_bytes(b"")
    middle = len(whole) // 2
    (src / "holed.mp4").write_bytes(whole[:middle] + bytes(2000) + whole[middle + 2000 :])
    assert main(words(src=src)) == 1
    err = capsys.readouterr().err
    record = json.loads((out / "features.json").read_text())
    assert sorted(record["failed"]) == ["cut", "empty", "holed"] and not record["complete"]
    assert all(f"{name}: video" in err for name in record["failed"])
    assert "empty.avi is empty" in err and "cut.mp4 is cut short" in err
    assert paths(out) == ["features.json", "good.json", "good.npy"]
    for name in ("cut.mp4", "holed.mp4"):
        (src / name).write_bytes(whole)
    (src / "empty.avi").unlink()
    assert main(words(src=src)) == 0
    assert json.loads((out / "features.json").read_text())["complete"]
    assert np.array_equal(np.load(out / "holed.npy"), np.load(out / "good.npy"))


def test_wrong_sources_are_refused(data, words, tmp_path, capsys):
    src = tmp_path / "src"
    src.mkdir()
    film = (data / "videos/Normal/film.mp4").read_bytes()

    def error(*more, **options):
        assert main(words(*more, **options)) == 1
        return capsys.readouterr().err

    assert "holds no videos (.mp4" in error(src=src)
    assert "none does not exist" in error(src=tmp_path / "none")
    (src / "film.mp4").write_bytes(film)
    (src / "film.mkv").write_bytes(film)
    assert "film.mkv and" in (text := error(src=src)) and "film.mp4 would have the same features film.npy" in text
    (src / "film.mkv").rename(src / "features.mkv")
    assert "would be taken for the record of all features" in error(src=src)
    (src / "features.mkv").unlink()
    assert "is the folder of the videos" in error(src=src, out=src)
    assert "no video reader is called 'pyva'; did you mean 'pyav'" in error("--reader", "pyva", src=src)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "out" / "film.npy", np.zeros(3))
    assert "film.npy is there, but no features.json says what made it" in error(src=src)
    assert paths(tmp_path / "out") == ["film.npy"]


def test_folders_that_link_to_themselves_are_seen_once(data, tmp_path):
    (tmp_path / "Normal").symlink_to(data / "videos/Normal", target_is_directory=True)
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert sorted(command.find_videos(tmp_path)) == ["Normal/deep/broadcast", "Normal/film"]


@pytest.mark.parametrize("wrong", ["0", "-3", "two", "1.5"])
def test_numbers_are_checked(wrong, words, capsys):
    for option in ("--batch-size", "--frames-per-second"):
        with pytest.raises(SystemExit):
            main(words(f"{option}={wrong}"))
        assert f"{wrong!r} is not a whole number of at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_share_the_videos(words, tmp_path):
    assert main(words(out=tmp_path / "alone")) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes=1", "--nproc_per_node=2"]
    launcher += ["--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0", "-m", "opentad_bi", "extract-clip-features"]
    line = [*launcher, *map(str, words(out=tmp_path / "two"))]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert paths(tmp_path / "two") == paths(tmp_path / "alone")
    for path in paths(tmp_path / "two"):
        if path.endswith(".npy"):
            rows, alone = np.load(tmp_path / "two" / path), np.load(tmp_path / "alone" / path)
            np.testing.assert_allclose(rows, alone, atol=1e-3)
    assert json.loads((tmp_path / "two" / "features.json").read_text())["complete"]


def test_clips_of_real_cameras(words, tmp_path):
    clips = sorted(CLIPS.iterdir())[:3] if CLIPS.is_dir() else []
    if not clips:
        pytest.skip(f"no clips below {SHARED}; set OPENTAD_SHARED to their folder")
    src = tmp_path / "src" / "Fighting"
    src.mkdir(parents=True)
    for clip in clips:
        (src / clip.name).symlink_to(clip)
    assert main(words(src=src.parent)) == 0
    for clip in clips:
        facts = json.loads((tmp_path / "out" / "Fighting" / f"{clip.stem}.json").read_text())
        rows = np.load(tmp_path / "out" / "Fighting" / f"{clip.stem}.npy").astype(np.float32)
        assert len(rows) == facts["rows"] == -(-facts["frames"] // round(facts["fps"]))
        # means of unit vectors of like frames
        assert (np.abs(np.linalg.norm(rows, axis=1) - 1) < 0.1).all()
