"""One HTML page per video: the player, and under it what was found when, with which score.

The page is a single file that asks the network for nothing: style, script, detections and, up to a size, the video
itself are inside it. Its parts lie beside this module (page.html, page.css, page.js) and are put together when a page
is written.
"""

import base64
import hashlib
import html
import io
import json
import logging
import math
import os
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from ...errors import require
from ...ops.names import SINGLE, chief
from ...utils.files import atomic
from .timeline import NAMES

log = logging.getLogger(__name__)

MIME = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}
MEGABYTE = 1 << 20
CHUNK_BYTES = 3 << 18  # a multiple of 3, so that pieces of base64 can be joined
_SLOT = re.compile(r"\{\{(\w+)\}\}")


def write_page(
    path: str | Path,
    video: str | Path | tuple[str, bytes],
    detections: list[dict] | dict[str, list[dict]],
    *,
    truth: list[dict] | None = None,
    duration: float | None = None,
    name: str | None = None,
    threshold: float = 0.1,
    embed_mb: float = 64,
    curve: tuple[str, Sequence[float], Sequence[float]] | None = None,
    pictures: Iterable[tuple[float, str, bytes]] = (),
) -> None:
    """Write a page that plays `video` and shows its detections along time, atomically.

    A video of up to `embed_mb` is put into the page. A larger one stays where it is and the page plays it through a
    relative link, which it says to the reader.

    Args:
        path: the .html to write.
        video: path of a file that browsers play (.mp4, .m4v, .webm), or (MIME type, bytes) of one.
            `opentad_bi.prepare.playable` makes either of any video.
        detections: [{"segment": [start_sec, end_sec], "label", "score"}], or {direction: such a list}; then the page
            lets one choose among the directions, beginning with the chief one.
        truth: true segments in the same form, without scores; None where they are not known.
        duration: length of the video in seconds; default what its container says.
        name: heading of the page; default the name of the video file (of the page, where bytes are given).
        threshold: score from which detections are shown at first; without a `curve` half of the best score, if that
            is less.
        embed_mb: largest video to put into the page, in units of 2**20 bytes.
        curve: a score along time, shown above all classes: (name, R + 1 edges in seconds, R scores).
        pictures: (seconds, text, PNG as bytes) of pictures that stand below the timelines.
    Raises:
        FileNotFoundError: there is no such video.
        ValueError: an entry is not a segment, the curve is none, or the video is of a kind that browsers do not play.
    """
    path, given = Path(path), video
    if not isinstance(video, tuple):
        video = Path(video)
        _check_video(video)
    data = _data(detections, truth, threshold)
    if curve is not None:
        data["curve"], data["threshold"] = _curve(*curve), float(threshold)
    data["pictures"] = [
        {"time": float(time), "text": str(text), "png": base64.b64encode(png).decode("ascii")}
        for time, text, png in pictures
    ]
    data["name"] = name or (path.stem if isinstance(video, tuple) else video.name)
    data["duration"] = _positive(duration) if duration is not None else _duration(video)
    limit = embed_mb * MEGABYTE
    mime, size = (video[0], len(video[1])) if isinstance(video, tuple) else (MIME[video.suffix.lower()], _size(video))
    if size > limit and isinstance(video, tuple):
        raise ValueError(f"video of {size / MEGABYTE:.1f} MB is above the {embed_mb} MB that a page may hold")
    data["link"] = _link(path, video) if size > limit else None
    if data["link"]:
        log.info("%s: %s (%.0f MB) is linked, not embedded; keep it where it is", path, given, size / MEGABYTE)
    with atomic(path) as temporary, open(temporary, "wb") as file:
        for part in _parts(data, mime, video):
            file.write(part.encode("utf-8"))


def _check_video(video):
    """Raise unless `video` is a file with a suffix that browsers know."""
    if not video.is_file():
        raise FileNotFoundError(f"video {video} does not exist")
    if video.suffix.lower() not in MIME:
        raise ValueError(
            f"{video}: browsers play {', '.join(MIME)}; opentad_bi.prepare.playable makes such a copy of any video"
        )


def _size(video):
    return video.stat().st_size


def _link(page, video):
    """Path of `video` as seen from the folder of `page`, or the whole path where they are on different drives."""
    try:
        return Path(os.path.relpath(video, page.parent)).as_posix()
    except ValueError:
        return video.resolve().as_posix()


def _url(link):
    """What the player is given for `link`."""
    return Path(link).as_uri() if Path(link).is_absolute() else quote(os.fsencode(link))


def _data(detections, truth, threshold):
    """What the script of the page reads, but for name, duration and link."""
    by_direction = detections if isinstance(detections, dict) else {SINGLE: detections}
    if not by_direction:
        raise ValueError("detections name no direction; an empty list says that nothing was found")
    found = {
        direction: [_entry(entry, f"detection {i} of {direction!r}", scored=True) for i, entry in enumerate(entries)]
        for direction, entries in by_direction.items()
    }
    best = max((entry["score"] for entries in found.values() for entry in entries), default=0.0)
    return {
        "detections": found,
        "truth": None if truth is None else [_entry(e, f"true segment {i}") for i, e in enumerate(truth)],
        "chief": chief(found),
        "names": {direction: NAMES.get(direction, direction) for direction in found},
        "threshold": min(threshold, best / 2),
    }


def _entry(entry, what, scored=False):
    """{"segment", "label"} and "score" of an entry, as plain numbers and text."""
    try:
        start, end = (float(t) for t in entry["segment"])
        plain = {"segment": [start, end], "label": str(entry["label"])}
        if scored:
            plain["score"] = float(entry["score"])
    except (KeyError, TypeError, ValueError) as error:
        wanted = '{"segment": [start, end], "label", "score"}' if scored else '{"segment": [start, end], "label"}'
        raise ValueError(f"{what} is {entry!r}; it must be {wanted}") from error
    if not (math.isfinite(start) and math.isfinite(end) and start <= end):
        raise ValueError(f"{what} has segment {entry['segment']}; start must not be after end, and both be finite")
    if scored and not 0 <= plain["score"] < math.inf:
        raise ValueError(f"{what} has score {entry['score']}; it must be a finite number, at least 0")
    return plain


def _curve(name, edges, scores):
    """{"label", "edges", "levels"} of a curve, as plain numbers and text."""
    edges, levels = ([float(x) for x in values] for values in (edges, scores))
    rising = len(edges) == len(levels) + 1 and all(a < b for a, b in pairwise(edges))
    if not levels or not rising or not all(map(math.isfinite, edges)):
        raise ValueError(f"curve {name!r} has {len(levels)} scores and {len(edges)} edges; one more must rise in time")
    if not all(0 <= level < math.inf for level in levels):
        raise ValueError(f"curve {name!r} has scores that are not finite numbers, at least 0")
    return {"label": str(name), "edges": edges, "levels": levels}


def _positive(duration):
    if not 0 < duration < math.inf:
        raise ValueError(f"duration must be a positive number of seconds, got {duration}")
    return float(duration)


def _duration(video):
    """Seconds of the video as its container says, or None where it does not."""
    av = require("av")
    source = io.BytesIO(video[1]) if isinstance(video, tuple) else str(video)
    try:
        with av.open(source, metadata_errors="ignore") as container:
            stream = next(iter(container.streams.video), None)
            if stream is not None and stream.duration:
                return float(stream.duration * stream.time_base)
            return container.duration / 1e6 if container.duration else None
    except av.FFmpegError as error:
        what = "the bytes given" if isinstance(video, tuple) else video
        raise ValueError(f"{what} cannot be opened as a video: {error.strerror}") from error


def _parts(data, mime, video):
    """The page as consecutive pieces of text; a value is never searched for slots."""
    style, script = _asset("page.css"), _asset("page.js")
    media = "'self' file:" if data["link"] else "data:"
    values = {
        "style": style,
        "script": script,
        "policy": f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; media-src {media}; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        "name": html.escape(data["name"]).encode("ascii", "xmlcharrefreplace").decode("ascii"),
        "data": json.dumps(data, allow_nan=False).translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&"}),
    }
    for i, part in enumerate(_SLOT.split(_asset("page.html"))):
        if i % 2 == 0:
            yield part
        elif part == "video":
            yield from [_url(data["link"])] if data["link"] else _data_uri(mime, video)
        else:
            yield values[part]


def _asset(name):
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(text):
    """How a content security policy names the one style or script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _data_uri(mime, video):
    yield f"data:{mime};base64,"
    with io.BytesIO(video[1]) if isinstance(video, tuple) else open(video, "rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield base64.b64encode(chunk).decode("ascii")
