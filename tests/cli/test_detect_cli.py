"""opentad-bi detect: what it writes, what it refuses before any work, and one bad video among many."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "apis"))
from detect_files import CLASSES, PAIR, write_config, write_video, write_weights

from opentad_bi.apis import detect_all, init_detector
from opentad_bi.cli import detect as command
from opentad_bi.cli.main import call


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Words that name a config and a checkpoint of a pair."""
    folder = tmp_path_factory.mktemp("trained")
    config = write_config(folder, PAIR)
    return [str(config), str(write_weights(config, folder / "pair.pth"))]


@pytest.fixture
def folder(tmp_path):
    """Two videos in one folder, beside something else."""
    write_video(tmp_path / "videos" / "a.mp4", 70, seed=1)
    write_video(tmp_path / "videos" / "b.mkv", 40, seed=2)
    (tmp_path / "videos" / "notes.txt").write_text("no video")
    (tmp_path / "videos" / ".b.mp4").write_text("hidden")
    return tmp_path / "videos"


@pytest.fixture
def run(trained, tmp_path, capsys):
    """Run the command on the CPU; returns the exit code and what stderr got."""

    def run(*words):
        code = call("detect", [*trained, "--out", tmp_path / "out", "--device", "cpu", *words])
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def pages(monkeypatch):
    """What write_page was called with; no page is written."""
    calls = []
    monkeypatch.setattr(command, "write_page", lambda *args, **options: calls.append((args, options)))
    return calls


@pytest.fixture
def idle(monkeypatch):
    """Fail if any work is begun."""
    monkeypatch.setattr(command, "init_detector", lambda *_, **__: pytest.fail("work was begun"))


def names(path):
    return sorted(p.name for p in path.iterdir())


def test_a_folder_of_videos(run, trained, folder, tmp_path):
    code, errors = run(folder)
    assert code == 0, errors
    out = tmp_path / "out"
    assert names(out) == ["a.html", "a.png", "b.html", "b.png", "detections.csv", "detections.json"]
    results = json.loads((out / "detections.json").read_text())["results"]
    model = init_detector(*trained, "cpu")
    for name in ("a.mp4", "b.mkv"):
        found = detect_all(model, folder / name, min_score=0.05)
        assert results[name[0]] == found.detections["merged"]
        assert f"{name}: {len(found.chief)} detections in" in errors
    table = pd.read_csv(out / "detections.csv")
    assert list(table) == ["video", "start_sec", "end_sec", "label", "score"]
    rows = [(v, *e["segment"], e["label"], e["score"]) for v in results for e in results[v]]
    assert [tuple(row) for row in table.itertuples(index=False)] == rows
    assert all((out / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in "ab")
    assert all("<video" in (out / f"{name}.html").read_text() for name in "ab")
    assert names(folder) == [".b.mp4", "a.mp4", "b.mkv", "notes.txt"]


def test_options_reach_the_detector(run, folder, pages, tmp_path):
    (tmp_path / "names.txt").write_text("Run\nSwim")
    words = ["--classes", tmp_path / "names.txt", "--direction", "back", "--min-score", "0", "--batch-size", "1"]
    assert run(folder / "a.mp4", *words)[0] == 0
    ((page, video, found), options) = pages[0]
    assert (page, video) == (tmp_path / "out" / "a.html", folder / "a.mp4")
    assert list(found) == ["back"] and {e["label"] for e in found["back"]} == {"Run", "Swim"}
    assert options == {"truth": None, "duration": pytest.approx(2.8), "name": "a.mp4"}
    saved = json.loads((tmp_path / "out" / "detections.json").read_text())["results"]
    assert saved == {"a": found["back"]} and min(e["score"] for e in found["back"]) < 0.05


def test_videos_that_the_ground_truth_does_not_have_are_named(tmp_path, caplog):
    actions = [{"segment": [0, 1], "label": "run"}, {"segment": [1, 2], "label": "Ambiguous"}]
    (tmp_path / "truth.json").write_text(json.dumps({"database": {"a": {"subset": "x", "annotations": actions}}}))
    found = command.truth_of([Path("x/a.mp4"), Path("x/v_a.mp4")], tmp_path / "truth.json")
    assert found == {"a": [{"segment": [0.0, 1.0], "label": "run"}]}
    assert "1 of 2 videos are not in the ground truth" in caplog.text and "v_a; it has a" in caplog.text


def test_ground_truth_is_drawn_beside(run, folder, pages, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(command, "draw_timeline", lambda *args, **options: drawn.append((args, options)))
    entry = {"subset": "any", "duration": 3, "annotations": [{"segment": [1, 2], "label": "Dive"}]}
    (tmp_path / "truth.json").write_text(json.dumps({"database": {"a": entry}}))
    assert run(folder, "--ground-truth", tmp_path / "truth.json")[0] == 0
    truth = [{"segment": [1.0, 2.0], "label": "Dive"}]
    assert [options["truth"] for _, options in pages] == [truth, None]
    assert [args[2] for args, _ in drawn] == [{"a": truth}, None]
    assert set(drawn[0][0][1]) == {"for", "back", "merged"}
    assert drawn[0][1]["durations"] == {"a": pytest.approx(2.8)}


def test_no_page(run, folder, pages, tmp_path):
    assert run(folder / "a.mp4", "--no-page")[0] == 0
    assert not pages and names(tmp_path / "out") == ["a.png", "detections.csv", "detections.json"]


def test_nothing_found_is_a_result(run, folder, pages, tmp_path):
    assert run(folder / "a.mp4", "--min-score", "1")[0] == 0
    assert json.loads((tmp_path / "out" / "detections.json").read_text()) == {"results": {"a": []}}
    assert (tmp_path / "out" / "detections.csv").read_text() == "video,start_sec,end_sec,label,score\n"


def test_an_unreadable_video_among_many(run, folder, pages, tmp_path):
    whole = (folder / "a.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[:-300])
    (folder / "empty.avi").touch()
    out = tmp_path / "out"
    out.mkdir()
    (out / "cut.html").write_text("former")
    code, errors = run(folder)
    assert code == 1 and "Traceback" not in errors
    lines = [line for line in errors.splitlines() if "ERROR" in line]
    assert len(lines) == 3
    assert "cut.mp4 is cut short" in lines[0] and "empty.avi is empty (0 bytes)" in lines[1]
    assert lines[2].endswith(f"2 of 4 videos failed: {folder / 'cut.mp4'}, {folder / 'empty.avi'}")
    assert list(json.loads((out / "detections.json").read_text())["results"]) == ["a", "b"]
    assert (out / "cut.html").read_text() == "former" and not (out / "cut.png").exists()


def test_where_no_video_can_be_read_former_tables_stay(run, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    (tmp_path / "out").mkdir()
    former = '{"results":   {"c": []}}'
    (tmp_path / "out" / "detections.json").write_text(former)
    assert run(tmp_path / "bad.mp4")[0] == 1
    assert names(tmp_path / "out") == ["detections.json"]
    assert (tmp_path / "out" / "detections.json").read_text() == former


def saved(tmp_path):
    """Results of detections.json, and the videos of detections.csv in the order in which they come."""
    results = json.loads((tmp_path / "out" / "detections.json").read_text())["results"]
    return results, list(pd.read_csv(tmp_path / "out" / "detections.csv")["video"].unique())


def test_tables_are_there_after_every_video(run, folder, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "show", interrupted)
    assert run(folder, "--min-score", "0")[0] == 130
    results, videos = saved(tmp_path)
    assert list(results) == videos == ["a"] and results["a"]


def test_another_run_adds_to_the_tables(run, folder, tmp_path):
    assert run(folder / "b.mkv", "--no-page", "--min-score", "0")[0] == 0
    former = saved(tmp_path)[0]
    assert run(folder / "a.mp4", "--no-page", "--min-score", "0")[0] == 0
    results, videos = saved(tmp_path)
    assert list(results) == videos == ["b", "a"] and results["b"] == former["b"]
    assert run(folder / "b.mkv", "--no-page", "--min-score", "1")[0] == 0
    assert saved(tmp_path) == ({"b": [], "a": results["a"]}, ["a"])


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("former", ['{"results": {"a": [', "[]", "{}", '{"results": {"c": [{"label": "Dive"}]}}'])
def test_damaged_tables_are_not_added_to(run, folder, tmp_path, former):
    path = tmp_path / "out" / "detections.json"
    path.parent.mkdir()
    path.write_text(former)
    code, errors = run(folder)
    assert code == 1 and errors.startswith(f"error: the previous results {path} cannot be added to; remove them")
    assert len(errors.strip().splitlines()) == 1 and path.read_text() == former


@pytest.mark.parametrize("error", [ValueError("no such glyph"), OSError(28, "No space left on device")])
@pytest.mark.parametrize(("step", "what"), [("draw_timeline", "picture"), ("playable", "page"), ("write_page", "page")])
def test_what_cannot_be_shown_is_found_all_the_same(run, folder, tmp_path, monkeypatch, step, what, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(command, step, fail)
    code, errors = run(folder)
    assert code == 1 and "Traceback" not in errors
    assert f"{folder / 'a.mp4'}: no {what}: {error}" in errors and "2 of 2 videos failed" in errors
    assert list(saved(tmp_path)[0]) == ["a", "b"]
    left = "html" if what == "picture" else "png"
    assert names(tmp_path / "out") == [f"a.{left}", f"b.{left}", "detections.csv", "detections.json"]


def test_a_table_is_written_whole_or_not_at_all(run, folder, pages, tmp_path, monkeypatch):
    def half(self, path, **_):
        path.write_text("video,sta")
        raise OSError(28, "No space left on device", str(path))

    assert run(folder / "a.mp4")[0] == 0
    former = (tmp_path / "out" / "detections.csv").read_text()
    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    code, errors = run(folder / "b.mkv")
    assert code == 1 and f"cannot write {tmp_path / 'out' / 'detections.csv'}: No space left" in errors
    assert (tmp_path / "out" / "detections.csv").read_text() == former
    assert not [name for name in names(tmp_path / "out") if ".tmp" in name]


@pytest.mark.usefixtures("idle")
def test_mistakes_are_told_before_any_work(run, folder, tmp_path):
    (tmp_path / "nothing").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.avi").touch()
    for words, message in (
        ([folder, tmp_path / "gone.mp4"], "gone.mp4 does not exist"),
        ([tmp_path / "nothing"], f"folder {tmp_path / 'nothing'} has no videos in it (.mp4, .avi, .mkv"),
        ([folder, tmp_path / "other"], f"{folder / 'a.mp4'} and {tmp_path / 'other' / 'a.avi'} have the same name"),
        ([folder, "--ground-truth", tmp_path / "gone.json"], "gone.json does not exist"),
    ):
        code, errors = run(*words)
        assert code == 1 and f"{message}" in errors and len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_video_named_twice_is_done_once(folder):
    files = [folder / "a.mp4", folder / "b.mkv"]
    assert command.find_videos([folder, folder / "a.mp4"]) == files
    assert command.find_videos([folder / "b.mkv", folder]) == files[::-1]


def test_wrong_names_end_the_run_with_one_message(run, folder, trained, tmp_path):
    code, errors = run(folder, "--direction", "fused")
    assert code == 1 and "error: direction 'fused': this model gives none; known: back, for, merged" in errors
    with pytest.raises(SystemExit) as end:
        run(folder, "--device", "gpu")
    assert end.value.code == 2
    code, errors = run(folder, "--cfg-options", "window_sise=3")
    assert code == 1 and "did you mean 'window_size'" in errors
    assert not list((tmp_path / "out").iterdir())


def test_names_of_classes_are_asked_for_where_they_are_not_known(trained, folder, tmp_path, capsys):
    weights = write_weights(trained[0], tmp_path / "old.pth", classes=None)
    words = [trained[0], weights, folder, "--out", tmp_path / "out", "--device", "cpu", "--no-page"]
    assert call("detect", words) == 1
    assert "the names of the classes are not known" in capsys.readouterr().err
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    assert call("detect", [*words, "--classes", tmp_path / "classes.json"]) == 0
