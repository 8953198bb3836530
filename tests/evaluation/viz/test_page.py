"""The page of one video, as a file: it says what went in, holds nothing else, and asks nobody for anything."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.evaluation.viz import page
from opentad_bi.evaluation.viz.page import write_page
from opentad_bi.evaluation.viz.timeline import COLORS
from opentad_bi.ops.names import FUSED, FUSED_PAIR, MERGED, PAIR

BYTES = ("video/mp4", b"not looked at")
NASTY = ["</script><b>", "<!--<script>", "{{video}}", "\"'&amp;<img src=x>", "\u2028\x00\\u003c", "\ud800"]
labels = st.one_of(st.text(max_size=20), st.sampled_from(NASTY))
times = st.floats(0, 1e5, allow_nan=False)
entries = st.lists(
    st.tuples(times, times, labels, st.floats(0, 1)).map(
        lambda e: {"segment": sorted(e[:2]), "label": e[2], "score": e[3]}
    ),
    max_size=5,
)


class Page(HTMLParser):
    """The parts of a written page: tags in order, their links, and the text of scripts by id."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.texts, self._inside = [], [], {}, None
        self.feed(text)
        self.data = json.loads(self.texts["data"])

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href", "action", "data", "srcset", "poster")]
        self._inside = dict(attrs).get("id", tag)

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, text):
        self.texts[self._inside] = self.texts.get(self._inside, "") + text


def written(folder, video=BYTES, detections=(), **options):
    path = folder / "out.html"
    options.setdefault("duration", 4)
    write_page(path, video, detections if isinstance(detections, dict) else list(detections), **options)
    return Page(path.read_text(encoding="utf-8"))


@given(found=st.one_of(entries, st.dictionaries(labels, entries, min_size=1, max_size=3)), true=entries, name=labels)
def test_whatever_the_words_the_page_holds_what_went_in_and_nothing_else(tmp_path_factory, found, true, name):
    folder = tmp_path_factory.getbasetemp()
    truth = [{k: e[k] for k in ("segment", "label")} for e in true]
    got, plain = written(folder, detections=found, truth=truth, name=name), written(folder)
    assert got.data["detections"] == (found if isinstance(found, dict) else {"model": found})
    assert got.data["truth"] == truth
    assert got.data["name"] == (name or "out")
    assert got.tags == plain.tags
    assert len(got.links) == 2 and all(link.startswith("data:") for link in got.links)


def test_the_page_asks_nobody(tmp_path, clip):
    write_page(tmp_path / "a.html", clip, [])
    text = (tmp_path / "a.html").read_text()
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttp|<link(?! rel=\"icon\" href=\"data:,\")", text)
    assert "default-src 'none'" in text and "unsafe" not in text


def test_the_video_is_in_the_page_bit_by_bit(tmp_path, clip, monkeypatch):
    monkeypatch.setattr(page, "CHUNK_BYTES", 3 * 7)
    for video in (clip, ("video/webm", clip.read_bytes())):
        got = written(tmp_path, video)
        head, code = got.links[1].split(",")
        assert head == ("data:video/mp4;base64" if video is clip else "data:video/webm;base64")
        assert base64.b64decode(code, validate=True) == clip.read_bytes()
        assert got.data["link"] is None


def test_above_the_limit_the_page_plays_the_file_beside_it(tmp_path, clip):
    size = clip.stat().st_size / 2**20
    assert written(tmp_path, clip, embed_mb=size).data["link"] is None
    far = tmp_path / "a #1%"
    far.mkdir()
    copy = far / "b c.mp4"
    copy.write_bytes(clip.read_bytes())
    got = written(tmp_path, copy, embed_mb=size * 0.99)
    assert got.links[1] == "a%20%231%25/b%20c.mp4"
    assert got.data["link"] == "a #1%/b c.mp4"
    with pytest.raises(ValueError, match="above the 0 MB"):
        written(tmp_path, embed_mb=0)


def test_what_a_container_says_stands_in_for_what_is_not_said(tmp_path, clip):
    for video, name in ((clip, "tiny clip.mp4"), (("video/mp4", clip.read_bytes()), "out")):
        got = written(tmp_path, video, duration=None)
        assert got.data["duration"] == pytest.approx(4)
        assert got.data["name"] == name == got.texts["h1"]
    with pytest.raises(ValueError, match="the bytes given cannot be opened as a video"):
        written(tmp_path, duration=None)


def test_the_chief_direction_is_the_first_to_be_seen(tmp_path):
    directions = ("for", "back", "merged", "fused")
    got = written(tmp_path, detections={d: [] for d in directions})
    assert got.data["chief"] == "fused"
    assert got.data["names"]["back"] == "backward"
    assert written(tmp_path).data["chief"] == "model"


def test_every_direction_has_a_name_and_a_colour_of_its_own(tmp_path):
    directions = (*PAIR, MERGED, *FUSED_PAIR, FUSED)
    names = written(tmp_path, detections={d: [] for d in directions}).data["names"]
    assert len({COLORS[d] for d in directions}) == len(directions)
    assert [names[d] for d in FUSED_PAIR] == ["fused, forward basis", "fused, backward basis"]
    rules = dict(re.findall(r'\[data-direction="(\w+)"\] \{ --bar: var\((--\w+)\); \}', page._asset("page.css")))
    assert len({"--blue", *rules.values()}) == len(directions) and rules.keys() == set(directions) - {"for"}


def test_a_threshold_above_all_scores_is_lowered(tmp_path):
    found = [{"segment": np.array([1, 2], np.float32), "label": "a", "score": np.float32(0.125)}]
    assert written(tmp_path, detections=found).data["threshold"] == 0.0625
    assert written(tmp_path, detections=found, threshold=0.05).data["threshold"] == 0.05


def test_a_page_is_whole_or_as_it_was(tmp_path, monkeypatch):
    written(tmp_path)
    before = (tmp_path / "out.html").read_bytes()
    asset = page._asset
    monkeypatch.setattr(page, "_asset", lambda name: asset(name) + "{{unknown}}" * name.endswith("html"))
    with pytest.raises(KeyError, match="unknown"):
        written(tmp_path, name="another")
    assert (tmp_path / "out.html").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.html"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"segment": [2, 1], "label": "a", "score": 0.5}, "start must not be after end"),
        ({"segment": [0, float("inf")], "label": "a", "score": 0.5}, "both be finite"),
        ({"segment": [0, 1], "label": "a", "score": float("nan")}, "finite number"),
        ({"segment": [0, 1], "label": "a", "score": -0.1}, "at least 0"),
        ({"segment": [0, 1], "label": "a"}, "it must be"),
        ({"segment": [0], "label": "a", "score": 0.5}, "it must be"),
    ],
)
def test_what_is_no_detection_is_named(tmp_path, entry, message):
    good = {"segment": [0, 1], "label": "a", "score": 0.5}
    with pytest.raises(ValueError, match=f"detection 1 of 'back' .*{message}"):
        written(tmp_path, detections={"for": [good], "back": [good, entry]})
    assert not list(tmp_path.iterdir())


def test_other_mistakes_are_named(tmp_path):
    (tmp_path / "a.avi").touch()
    with pytest.raises(FileNotFoundError, match=r"b\.mp4 does not exist"):
        written(tmp_path, tmp_path / "b.mp4")
    with pytest.raises(ValueError, match=r"a\.avi: browsers play \.mp4.*playable"):
        written(tmp_path, tmp_path / "a.avi")
    with pytest.raises(ValueError, match="no direction"):
        written(tmp_path, detections={})
    with pytest.raises(ValueError, match="true segment 0"):
        written(tmp_path, truth=[{"segment": [3, 2], "label": "a"}])
    with pytest.raises(ValueError, match="positive number of seconds, got 0"):
        written(tmp_path, duration=0)


def test_a_curve_and_pictures_are_in_the_page_as_they_were_given(tmp_path):
    plain = written(tmp_path)
    assert "curve" not in plain.data and plain.data["pictures"] == []
    curve = ("score", np.array([0, 1, 4]), np.array([0.25, 0.5], np.float32))
    found = [{"segment": [1, 4], "label": "a", "score": 0.5}]
    got = written(tmp_path, detections=found, curve=curve, threshold=0.4, pictures=[(2, "</script>", b"\x89PNG")])
    assert got.data["curve"] == {"label": "score", "edges": [0, 1, 4], "levels": [0.25, 0.5]}
    assert got.data["threshold"] == 0.4  # not lowered
    assert got.data["pictures"] == [{"time": 2, "text": "</script>", "png": base64.b64encode(b"\x89PNG").decode()}]
    assert got.tags == plain.tags and len(got.links) == 2


@pytest.mark.parametrize(
    ("edges", "scores", "message"),
    [
        ([0, 1], [], "0 scores and 2 edges"),
        ([0, 1], [0.1, 0.2], "one more must rise in time"),
        ([0, 2, 1], [0.1, 0.2], "must rise in time"),
        ([0, 1, np.inf], [0.1, 0.2], "must rise in time"),
        ([0, 1], [np.nan], "not finite numbers"),
        ([0, 1], [-0.1], "at least 0"),
    ],
)
def test_what_is_no_curve_is_named(tmp_path, edges, scores, message):
    with pytest.raises(ValueError, match=f"curve 'score' .*{message}"):
        written(tmp_path, curve=("score", edges, scores))
    assert not list(tmp_path.iterdir())
