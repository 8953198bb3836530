"""Whole videos as runs of frames: every stride-th frame once, in order, with the classes that lists and names say."""

from pathlib import Path

import pytest
import torch
from dataset_files import draw, encode
from places import SHARED

from opentad_bi.datasets.readers.base import open_video
from opentad_bi.datasets.video_anomaly.stream import FrameStreamDataset
from opentad_bi.evaluation.anomaly.frame_auc import FrameAnomaly
from opentad_bi.ops.records import ClassScores, UnitMeta
from opentad_bi.registry import DATASETS

CLASSES = ["Normal", "Abuse", "Arson"]
LENGTHS = {
    "Abuse/Abuse028_x264": 33,
    "Arson/Arson007_x264": 32,
    "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264": 3,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three videos in class folders."""
    root = tmp_path_factory.mktemp("videos")
    for place, length in LENGTHS.items():
        path = root / f"{place}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(path, [draw(frame) for frame in range(length)], lossless=True)
    return root


def stream(videos, root=None, **options):
    options = {"stride": 4, "chunk": 3, "size": 16, "classes": CLASSES, **options}
    return DATASETS.build({"type": "FrameStreamDataset", "videos": videos, "root": root, **options})


@pytest.mark.parametrize(("stride", "chunk"), [(1, 5), (4, 3), (16, 64), (5, 1)])
def test_every_row_comes_once_and_in_order(root, stride, chunk):
    data = stream(root, stride=stride, chunk=chunk)
    rows = {}
    for sample in map(data.__getitem__, range(len(data))):
        meta = sample["meta"]
        own = rows.setdefault(meta.video, [])
        assert meta.start == len(own) and sample["inputs"].shape == (chunk, 3, 16, 16)
        assert sample["valid"].tolist() == [i < meta.rows for i in range(chunk)]
        own += list(sample["inputs"][sample["valid"]])
    for place, length in LENGTHS.items():
        frames = range(0, length, stride)
        with open_video(root / f"{place}.mp4") as video:
            whole = data._pixels.resize(video.frames(list(frames)))
        found = torch.stack(rows[Path(place).name])
        assert torch.equal(found, torch.from_numpy(whole).permute(0, 3, 1, 2))
    assert [file.frames for file in data.files] == list(LENGTHS.values())


def test_a_batch(root):
    data = stream(root)
    batch = data.collate([data[i, 5] for i in (0, 2, -1)])
    assert batch["inputs"].shape == (3, 3, 3, 16, 16) and batch["inputs"].dtype == torch.uint8
    assert batch["valid"].tolist() == [[True] * 3, [True] * 3, [True, False, False]]
    assert batch["labels"].tolist() == [1, 1, 0] and batch["labels"].dtype == torch.int64
    expected = [
        UnitMeta("Abuse028_x264", 0, 3, frames=33),
        UnitMeta("Abuse028_x264", 6, 3, frames=33),
        UnitMeta("Normal_Videos_003_x264", 0, 1, frames=3),
    ]
    assert list(batch["meta"]) == expected


def test_lists_of_every_form(root, tmp_path):
    forms = {
        "paths.txt": "Abuse/Abuse028_x264.mp4\nArson/Arson007_x264.mp4\n",
        "events.txt": "Abuse028_x264.mp4  Abuse  16 24  -1 -1  \nArson007_x264.mp4  Arson  0 8 12 20\n",
        "bare.txt": "Abuse028_x264 16 24\nArson007_x264 0 8\n",
    }
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
        data = stream(tmp_path / name, root)
        assert data.videos == ["Abuse028_x264", "Arson007_x264"] and data.labels.tolist() == [1, 1, 1, 2, 2, 2]
    one = stream([str(root / "Arson/Arson007_x264.mp4")])
    assert one.videos == ["Arson007_x264"] and len(one) == 3
    assert stream(str(root / "Arson/Arson007_x264.mp4")).videos == one.videos
    assert stream(root, classes=["Normal", "Robbery"]).labels.tolist() == [-1] * 6 + [0]


def test_rows_are_those_of_the_metric(root, tmp_path):
    """Scores that know which frames are annotated have an area of 1."""
    events = {"Abuse028_x264": (16, 24), "Arson007_x264": (0, 8)}
    (tmp_path / "events.txt").write_text(
        "".join(f"{name}.mp4 {name[:5]} {first} {stop} -1 -1\n" for name, (first, stop) in events.items())
        + "Normal_Videos_003_x264.mp4 Normal -1 -1 -1 -1\n"
    )
    data = stream(tmp_path / "events.txt", root)
    metric = FrameAnomaly(classes=CLASSES, normal_class="Normal", annotation=tmp_path / "events.txt", frames_per_row=4)
    for index in range(len(data)):
        sample = data[index]
        meta, (first, stop) = sample["meta"], events.get(sample["meta"].video, (0, 0))
        for row in range(meta.start, meta.start + meta.rows):
            anomaly = 0.9 if first <= row * 4 < stop else 0.1
            probabilities = torch.tensor([1 - anomaly, anomaly / 2, anomaly / 2]).numpy()
            metric.update([ClassScores(UnitMeta(meta.video, row, 1), sample["label"], probabilities)])
    assert metric.compute()["model"]["auc"] == 1.0


def test_mistakes(root, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no video"):
        stream(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"1 of 2 videos have no file .*Abuse099"):
        stream(["Abuse/Abuse028_x264.mp4", "Abuse099_x264.mp4"], root)
    assert stream(["Abuse/Abuse028_x264.mp4", "Abuse099_x264.mp4"], root, tolerate=0.5).videos == ["Abuse028_x264"]
    with pytest.raises(ValueError, match="two videos are called 'Abuse028_x264'"):
        stream(["Abuse/Abuse028_x264.mp4", "Abuse028_x264.mp4"], root)
    for name, value in {"stride": 0, "chunk": 0, "size": 0, "classes": [], "tolerate": 1}.items():
        with pytest.raises(ValueError, match=name):
            stream(root, **{name: value})


def test_real_clips():
    folder = SHARED / "data" / "videos" / "surveillance"
    if not folder.is_dir():
        pytest.skip(f"no real videos at {folder}; set OPENTAD_SHARED to the folder above data/")
    clip = next(iter(sorted(folder.glob("*.mp4"))))
    data = FrameStreamDataset(clip, classes=["Normal", "Accident"], stride=30, chunk=2, size=32)
    file = data.files[0]
    assert file.rows == -(-file.frames // 30) and len(data) == -(-file.rows // 2)
    assert data[0]["inputs"].float().std() > 1 and data.labels.tolist() == [-1] * len(data)
