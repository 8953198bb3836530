"""Exports of Label Studio as annotation: boxes and texts as a caption file, timelines as an annotation of actions.

Boxes are in percent of the picture, and their keyframes count from 1. A region of a timeline says from which frame to
which a label holds. Frames count from 1, both ends included, at the `frameRate` of the labelling configuration's Video
tag (24 where it has none), whatever the video's own rate is: frames a to b last from (a - 1) / rate to b / rate
seconds.
"""

import contextlib
import logging
import re
from collections import Counter
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import some
from ..ops.names import bare_name, served_path
from ..utils.annotation import number as to_number
from ..utils.annotation import shown
from ..utils.files import read_json, write_json
from .frames import count_frames, frame_rate, index_frames, open_video

log = logging.getLogger(__name__)
OVERSHOOT = 2.0  # percent by which a box may reach out of the frame and is clipped
DIGITS = 6  # of boxes, and of seconds
FILE_RATE = "videos at the rate of their file"  # a count of `import_timeline`
_RATE = re.compile(r"<Video\b[^>]*\bframe_?rate\s*=\s*[\"']([^\"']*)[\"']", re.IGNORECASE)
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file


def import_tasks(
    tasks: list, *, video_key: str = "video", on_bad_region: str = "error"
) -> tuple[list[dict], Counter[str]]:
    """Turn tasks of Label Studio into entries of a caption file.

    Percent become fractions, frames count from 0. A text that belongs to a box is its caption, or else its labels are;
    the other texts of a task are the caption of the video. A box whose last keyframe is enabled has no `end_frame`:
    it lasts to the end of the video.

    Args:
        tasks: list of tasks, as Label Studio's export "JSON" has them.
        video_key: name of the video in `data` of a task.
        on_bad_region: of a region that cannot be read: "error", or "skip" it, counted and logged.
    Returns:
        list of entries, and a Counter: tasks, videos, unlabelled, several (annotations of one task, of which the last
        that is not empty is taken), regions, keyframes, "empty sequences" (boxes without a keyframe, which are left
        out), "skipped regions", "clipped boxes" (that reached out of the frame by at most 2 %), rotated (boxes whose
        rotation is left out), uncaptioned (regions), "ignored TYPE" (results of other types).
    Raises:
        ValueError: naming task, region and value; two tasks of one video.
    """
    if not isinstance(tasks, list) or not tasks:
        raise ValueError("a list of tasks is expected; choose the format 'JSON' of Label Studio's export")
    counts: Counter[str] = Counter(tasks=len(tasks))
    found: dict[str, dict] = {}
    for number, task in enumerate(tasks):
        with _errors_of(_task_name(task, number)):
            entry = _entry(task, video_key, counts, skip=on_bad_region == "skip")
            if entry is None:
                counts["unlabelled"] += 1
                continue
            if entry["f_path"] in found:
                raise ValueError(f"video {entry['f_path']!r} is that of another task too")
            found[entry["f_path"]] = entry
    counts["videos"] = len(found)
    return list(found.values()), counts


def import_file(
    src: Path | str, dst: Path | str, *, video_key: str = "video", on_bad_region: str = "error", overwrite: bool = False
) -> Counter[str]:
    """Write the entries of the export `src` to the caption file `dst`; returns the counts of `import_tasks`.

    Raises:
        FileExistsError, FileNotFoundError, ValueError: naming the file; nothing is written then.
    """
    src, dst = Path(src), Path(dst)
    tasks = _read_export(src, dst, overwrite)
    with _errors_of(f"export of Label Studio {src}"):
        entries, counts = import_tasks(tasks, video_key=video_key, on_bad_region=on_bad_region)
        if not entries:
            raise ValueError(f"none of {counts['tasks']} tasks is annotated")
    if silent := [bare_name(entry["f_path"]) for entry in entries if not entry["global_caption"]]:
        log.warning("%d of %d videos have no caption: %s", len(silent), len(entries), some(silent))
    write_json(dst, entries)
    return counts


def _entry(task, video_key, counts, *, skip):
    """The entry of one task, or None if it is not annotated."""
    data = _data_of(task, video_key)
    results = _results_of(task, counts)
    if not results:
        return None
    boxes = {r.get("id") or f"box {i}": r["value"] for i, r in enumerate(results) if r.get("type") == "videorectangle"}
    texts, labels = {key: [] for key in (*boxes, None)}, {key: [] for key in (*boxes, None)}
    for result in results:
        key, value = result.get("id") if result.get("id") in boxes else None, result["value"]
        if result.get("type") == "textarea":
            texts[key] += _texts(value.get("text"))
        if result.get("type") in ("labels", "videorectangle"):
            labels[key] += [text for text in _texts(value.get("labels")) if text not in labels[key]]
        if result.get("type") not in ("textarea", "labels", "videorectangle"):
            counts[f"ignored {result.get('type')}"] += 1
    regions = []
    for number, (key, value) in enumerate(boxes.items()):
        own = Counter()  # of a region that is left out nothing is counted
        try:
            regions.append(_region(value, " ".join(texts[key]) or ", ".join(labels[key]), own))
            counts.update(own)
        except ValueError as error:
            if not skip:
                raise ValueError(f"region {number}: {error}; --on-bad-region skip leaves it out") from error
            log.warning("task %r: region %d is left out: %s", task.get("id"), number, error)
            counts["skipped regions"] += 1
    frames, fps = _length(boxes.values())
    caption = " ".join(texts[None]) or " ".join(_texts(data.get("caption")))
    about = {"category": " ".join(_texts(data.get("category"))), "frames_count": frames, "fps": fps}
    return {
        "f_path": video_file(data[video_key]),
        "global_caption": caption,
        "bbox_info": regions,
        **{key: value for key, value in about.items() if value},
    }


def _region(value, caption, counts):
    """One region of a caption file."""
    sequence = value.get("sequence")
    if not isinstance(sequence, list) or not sequence:
        raise ValueError("there is no 'sequence' of keyframes")
    keyframes = {}
    for number, item in enumerate(sequence):
        if not isinstance(item, dict):
            raise ValueError(f"keyframe {number} is not an object")
        frame = item.get("frame")
        if not _number(frame) or frame != int(frame) or frame < 1:
            raise ValueError(f"keyframe {number}: frame {frame!r} is not a whole number from 1 on")
        counts["rotated"] += bool(item.get("rotation"))
        enabled = item.get("enabled", True)
        if not isinstance(enabled, bool):
            raise ValueError(f"keyframe {number}: enabled {enabled!r} is neither true nor false")
        keyframes[int(frame) - 1] = {"bbox": _box(number, item, counts), "enabled": enabled}
    ordered = [{"frame": frame, **keyframes[frame]} for frame in sorted(keyframes)]
    counts.update(regions=1, keyframes=len(ordered), uncaptioned=int(not caption))
    end = {} if ordered[-1]["enabled"] else {"end_frame": ordered[-1]["frame"]}
    return {"caption": caption, "start_frame": ordered[0]["frame"], **end, "keyframes": ordered}


def _box(number, item, counts):
    """x, y, width, height in percent -> x1, y1, x2, y2 relative to the picture."""
    values = [item.get(key) for key in ("x", "y", "width", "height")]
    if not all(map(_number, values)):
        raise ValueError(f"keyframe {number}: x, y, width, height {values} are not four numbers")
    x, y, width, height = values
    corners = (x, y, x + width, y + height)
    overshoot = max(-min(corners), max(corners) - 100)
    if overshoot > OVERSHOOT + 1e-9 or width <= 0 or height <= 0:
        hint = "; are they pixels?" if max(values) > 100 + OVERSHOOT else f", of which up to {OVERSHOOT:g} are clipped"
        raise ValueError(f"keyframe {number}: x, y, width, height {values} are not a box within 100 percent{hint}")
    counts["clipped boxes"] += overshoot > 1e-6
    x1, y1, x2, y2 = (round(min(max(corner, 0.0), 100.0) / 100, DIGITS) for corner in corners)
    if x1 >= x2 or y1 >= y2:
        raise ValueError(f"keyframe {number}: x, y, width, height {values} have no area in {DIGITS} digits")
    return [x1, y1, x2, y2]


def _length(values):
    """(number of frames, frames per second) that the boxes of a video say, or None."""
    for value in values:
        frames, duration = value.get("framesCount"), value.get("duration")
        if _number(frames) and frames > 0:
            fps = round(frames / duration, 4) if _number(duration) and duration > 0 else 0
            return int(frames), fps if _number(fps) and fps > 0 else None
    return None, None


def _texts(value):
    """Texts of a text or a list of them, without blanks at the ends and without empty ones."""
    values = [value] if isinstance(value, str) else value or []
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise ValueError(f"{value!r} is not a text")
    return [text.strip() for text in values if text.strip()]


def _number(value):
    """Is a value of a box a number, not one written as text?"""
    return isinstance(value, Real) and not isinstance(value, bool) and abs(value) < 2**53


def import_timeline(
    tasks: list | dict,
    *,
    video_key: str = "video",
    video_root: Path | str | None = None,
    fps: float | None = None,
    first_frame: int = 1,
    subset: str = "training",
) -> tuple[dict, Counter[str]]:
    """Turn tasks of Label Studio with timeline labels into an annotation of actions.

    Args:
        tasks: content of an export ("JSON" or "JSON_MIN"), or a request of Label Studio to a model with one task.
        video_key: name of the video in the data of a task.
        video_root: folder of the videos, for their frames, seconds and rates; None: they are not opened.
        fps: frames per second that the timeline counts; None: `fps` in the data of the task, else the frameRate in
            the labelling configuration, else the rate of the file.
        first_frame: number of the first frame, 1, or 0 for tools that count from 0.
        subset: name of the subset that all videos get.
    Returns:
        {"database": ...}, see `utils.annotation`, and a Counter: tasks, videos, actions, unlabelled (tasks without an
        annotation), several (annotations of one task, of which the last that is not empty is taken), "ignored TYPE".
    Raises:
        ValueError: naming task, region and value; two tasks of one video; a rate that is not known.
        FileNotFoundError: a video that is not in `video_root`.
    """
    database: dict[str, dict] = {}
    counts: Counter[str] = Counter()
    for number, task in enumerate(_tasks(tasks)):
        counts["tasks"] += 1
        with _errors_of(_task_name(task, number)):
            name, entry = _timeline_entry(task, video_key, video_root, fps, first_frame, counts)
            if name in database:
                raise ValueError(f"video {name!r} is that of another task too")
        if name is not None:
            database[name] = {"subset": subset, **entry}
            counts.update(videos=1, actions=len(entry["annotations"]))
    if not database:
        raise ValueError(f"none of {counts['tasks']} tasks is annotated")
    return {"database": database}, counts


def import_timeline_file(src: Path | str, dst: Path | str, *, overwrite: bool = False, **options: Any) -> Counter[str]:
    """Write the annotation of the export `src` to `dst`; `options` and returned counts are those of `import_timeline`.

    Raises:
        FileExistsError, FileNotFoundError, ValueError: naming the file; nothing is written then.
    """
    src, dst = Path(src), Path(dst)
    tasks = _read_export(src, dst, overwrite)
    with _errors_of(f"export of Label Studio {src}"):
        annotation, counts = import_timeline(tasks, **options)
    if unknown := [name for name, entry in annotation["database"].items() if "frame" not in entry]:
        log.warning(
            "%d videos have no frame and duration, which training reads from the files then: %s; --video-root DIR "
            "reads them now",
            len(unknown),
            some(unknown),
        )
    if counts[FILE_RATE]:
        log.warning(
            "the frame rate of the timelines of %d videos is unknown: that of the file is assumed, while Label Studio "
            "counts 24 frames per second where the Video tag has no frameRate; --fps N sets it",
            counts[FILE_RATE],
        )
    write_json(dst, annotation)
    return counts


def _tasks(content):
    """The tasks of an export in any of its forms, each as the format "JSON" has it."""
    if isinstance(content, dict) and isinstance(content.get("task"), dict) and "annotation" in content:
        config = content["project"].get("label_config") if isinstance(content.get("project"), dict) else None
        return [{**content["task"], "annotations": [content["annotation"]], "label_config": config}]
    if not isinstance(content, list) or not content:
        raise ValueError("a list of tasks is expected; choose the format 'JSON' of Label Studio's export")
    return [_from_min(task) if isinstance(task, dict) and "data" not in task else task for task in content]


def _from_min(task):
    """A task of the format "JSON_MIN", in which the values of a control stand under its name."""
    controls = {
        key: value
        for key, value in task.items()
        if isinstance(value, list) and any(isinstance(item, dict) and "timelinelabels" in item for item in value)
    }
    results = [{"type": "timelinelabels", "value": item} for value in controls.values() for item in value]
    data = {key: value for key, value in task.items() if key not in controls}
    return {"id": task.get("id"), "data": data, "annotations": [{"result": results}]}


def _timeline_entry(task, video_key, video_root, fps, first_frame, counts):
    """(name of the video, its entry without the subset) of one task; (None, None) if it is not annotated."""
    data = _data_of(task, video_key)
    if not _annotations_of(task):
        counts["unlabelled"] += 1
        return None, None
    file = video_file(data[video_key])
    lengths, own_fps = _lengths(file, video_root)
    rate = _first_rate(fps, data.get("fps"), _tag_rate(task.get("label_config"), data))
    if rate is None and own_fps is not None:
        rate = own_fps
        counts[FILE_RATE] += 1
    actions = []
    for result in _results_of(task, counts):
        if result.get("type") == "timelinelabels":
            actions += _actions(result, rate, first_frame)
        else:
            counts[f"ignored {result.get('type')}"] += 1
    return bare_name(file), {**lengths, "annotations": sorted(actions, key=lambda action: action["segment"])}


def _actions(result, rate, first_frame):
    """The actions of one region: every label over every range."""
    value, where = result["value"], f"region {result.get('id')!r}"
    ranges, names = value.get("ranges"), value.get("timelinelabels")
    if not isinstance(ranges, list) or not ranges:
        raise ValueError(f"{where}: ranges {shown(ranges)} is not a list of frames")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(f"{where}: timelinelabels {shown(names)} is not a list of names")
    if rate is None:
        raise ValueError(
            f"{where} is in frames of unknown rate; give --fps N, the frameRate of the Video tag in Label Studio (24 "
            "where it has none), or the videos by --video-root DIR"
        )
    found = []
    for item in ranges:
        ends = [item.get(key) if isinstance(item, dict) else None for key in ("start", "end")]
        frames = [to_number(end) for end in ends]
        if None in frames or any(frame != int(frame) for frame in frames):
            raise ValueError(f"{where}: range {shown(item)} has no start and end that are whole numbers of frames")
        start, end = frames
        if start < first_frame or end < start:
            raise ValueError(
                f"{where}: range {shown(item)} must begin at frame {first_frame} or later, and not after its end"
            )
        seconds = [round((start - first_frame) / rate, DIGITS), round((end - first_frame + 1) / rate, DIGITS)]
        found += [{"segment": seconds, "label": name.strip()} for name in names]
    return found


def _lengths(file, video_root):
    """({"duration", "frame"} of a video, its frames per second), or ({}, None) without a folder of videos."""
    if video_root is None:
        return {}, None
    paths = [path for path in (Path(video_root) / file, Path(video_root) / Path(file).name) if path.is_file()]
    if not paths:
        raise FileNotFoundError(f"video {file} is not in {video_root}")
    index = index_frames(paths[0])
    if index is not None:
        frames, rate = len(index), float(index.rate)
    else:  # an AVI whose packets do not say which frames there are
        frames = count_frames(paths[0])
        container, stream = open_video(paths[0])
        with container:
            rate = float(frame_rate(stream))
    return {"duration": round(frames / rate, DIGITS), "frame": frames}, rate


def _tag_rate(label_config, data):
    """The frameRate of the Video tag in a labelling configuration, a number or $NAME of the data; None without one."""
    found = _RATE.search(label_config) if isinstance(label_config, str) else None
    if not found:
        return None
    return data.get(found[1][1:]) if found[1].startswith("$") else found[1]


def _first_rate(*rates):
    """The first frames per second that is given; ValueError if it is not a positive number."""
    given = next((rate for rate in rates if rate is not None), None)
    rate = to_number(given)
    if given is not None and (rate is None or rate <= 0):
        raise ValueError(f"fps {shown(given)} is not a positive number of frames per second")
    return rate


def _read_export(src, dst, overwrite):
    """The content of the export `src`, if its result may be written to `dst`."""
    tasks = read_json(src, "export of Label Studio")
    if dst.exists() and (not overwrite or dst.samefile(src)):
        hint = "it is the export itself" if dst.samefile(src) else "--overwrite replaces it"
        raise FileExistsError(f"{dst} exists; {hint}")
    return tasks


def _task_name(task, number):
    return f"task {(task.get('id', number) if isinstance(task, dict) else number)!r}"


@contextlib.contextmanager
def _errors_of(where: str) -> Iterator[None]:
    """Errors of the block begin with `where`."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{where}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _data_of(task, video_key):
    """The data of a task, which must name a video."""
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise ValueError("an object with 'data' is expected")
    data = task["data"]
    if video_key not in data:
        raise ValueError(f"data has no {video_key!r}; it has {', '.join(map(repr, data)) or 'nothing'}")
    return data


def _annotations_of(task):
    """The annotations of a task that were not cancelled."""
    found = task.get("annotations", task.get("completions")) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError("annotations are not a list of objects")
    return [one for one in found if not one.get("was_cancelled")]


def _results_of(task, counts):
    """The results of a task's last annotation that was not cancelled, or None."""
    found = _annotations_of(task)
    counts["several"] += len(found) > 1
    found = [one for one in found if one.get("result")] or found
    results = (found[-1].get("result") if found else None) or []
    if not isinstance(results, list):
        raise ValueError(f"result {results!r} is not a list")
    for number, result in enumerate(results):
        if not isinstance(result, dict) or not isinstance(result.get("value", {}), dict):
            raise ValueError(f"result {number} is not an object with a 'value'")
        if not isinstance(result.get("id"), (str, int, type(None))):
            raise ValueError(f"result {number}: id {result['id']!r} is neither a text nor a number")
    empty = [result for result in results if result.get("value", {}).get("sequence", 0) in ([], None)]
    counts["empty sequences"] += len(empty)  # boxes that were begun and have no keyframe; their texts go with them
    ids = {result["id"] for result in empty if result.get("id") is not None}
    return [{"value": {}, **r} for r in results if r not in empty and r.get("id") not in ids]


def video_file(text: str) -> str:
    """The name of a video file in what Label Studio calls it: an address, a path, or an upload with a prefix.

    Of files that are served from a local folder (local-files/?d=) the path below that is kept.

    Raises:
        ValueError: it is not the name of a file.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"video {text!r} is not the name of a file")
    if (path := served_path(text)) and path != text.strip():
        return path
    parts = urlsplit(text.strip(), allow_fragments=False)  # names of XD-Violence's videos hold a #
    name = unquote(parts.path).replace("\\", "/").rpartition("/")[2]
    if not name:
        raise ValueError(f"video {text!r} names no file")
    return _UPLOADED.sub("", name, count=1) if _UPLOADED.match(name) else name
