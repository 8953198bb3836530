"""Annotation of actions from a timeline export of Label Studio.

A region of a timeline says from which frame to which a label holds. Frames count from 1, both ends included, at the
`frameRate` of the labelling configuration's Video tag (24 where it has none), whatever the video's own rate is: frames
a to b last from (a - 1) / rate to b / rate seconds.
"""

import logging
import re
from collections import Counter
from pathlib import Path

from ..errors import some
from ..ops.names import bare_name
from ..utils.annotation import number, shown
from ..utils.files import write_json
from .frame_index import index_frames
from .label_studio import annotations_of, read_export, results_of, video_file

log = logging.getLogger(__name__)
DIGITS = 6
FILE_RATE = "videos at the rate of their file"
_RATE = re.compile(r"<Video\b[^>]*\bframe_?rate\s*=\s*[\"']([^\"']*)[\"']", re.IGNORECASE)


def import_timeline(tasks, *, video_key="video", video_root=None, fps=None, first_frame=1, subset="training"):
    """Turn tasks of Label Studio with timeline labels into an annotation of actions.

    Args:
        tasks: content of an export ("JSON" or "JSON_MIN"), or a request of Label Studio to a model with one task.
        video_key: name of the video in the data of a task.
        video_root: folder of the videos, for their frames, seconds and rates; None: they are not looked into.
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
    database, counts = {}, Counter()
    for position, task in enumerate(_tasks(tasks)):
        where = f"task {task.get('id', position)!r}" if isinstance(task, dict) else f"task {position}"
        counts["tasks"] += 1
        try:
            name, entry = _entry(task, video_key, video_root, fps, first_frame, counts)
            if name in database:
                raise ValueError(f"video {name!r} is that of another task too")
        except (ValueError, FileNotFoundError) as error:
            raise type(error)(f"{where}: {error}") from error
        if name is not None:
            database[name] = {"subset": subset, **entry}
            counts.update(videos=1, actions=len(entry["annotations"]))
    if not database:
        raise ValueError(f"none of {counts['tasks']} tasks is annotated")
    return {"database": database}, counts


def import_timeline_file(src, dst, *, overwrite=False, **options):
    """Write the annotation of the export `src` to `dst`; returns the counts of `import_timeline`.

    Raises:
        FileExistsError, FileNotFoundError, ValueError: naming the file; nothing is written then.
    """
    src, dst = Path(src), Path(dst)
    tasks = read_export(src, dst, overwrite)
    try:
        annotation, counts = import_timeline(tasks, **options)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"export of Label Studio {src}: {error}") from error
    if unknown := [name for name, entry in annotation["database"].items() if "frame" not in entry]:
        log.warning(
            "%d videos have no frame and duration, which training takes from the files then: %s; --video_root DIR "
            "looks into them now",
            len(unknown),
            some(unknown),
        )
    if counts[FILE_RATE]:
        log.warning(
            "nothing says how many frames a second the timelines of %d videos count: they are taken to count those of "
            "the file, while Label Studio counts 24 where the Video tag has no frameRate; --fps N says it",
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


def _entry(task, video_key, video_root, fps, first_frame, counts):
    """(name of the video, its entry without the subset) of one task; (None, None) if it is not annotated."""
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise ValueError("an object with 'data' is expected")
    data = task["data"]
    if video_key not in data:
        raise ValueError(f"data has no {video_key!r}; it has {', '.join(map(repr, data)) or 'nothing'}")
    if not annotations_of(task):
        counts["unlabelled"] += 1
        return None, None
    file = video_file(data[video_key])
    lengths, own_fps = _lengths(file, video_root)
    rate = _first_rate(fps, data.get("fps"), _tag_rate(task.get("label_config"), data))
    if rate is None and own_fps is not None:
        rate = own_fps
        counts[FILE_RATE] += 1
    actions = []
    for result in results_of(task, counts):
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
            f"{where} is in frames, of which nothing says how many a second has; give --fps N, the frameRate of the "
            "Video tag in Label Studio (24 where it has none), or the videos by --video_root DIR"
        )
    found = []
    for item in ranges:
        ends = [item.get(key) if isinstance(item, dict) else None for key in ("start", "end")]
        frames = [number(end) for end in ends]
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
    """({"duration", "frame"} of a video, its frames per second), or ({}, None) without a folder to look into."""
    if video_root is None:
        return {}, None
    paths = [path for path in (Path(video_root) / file, Path(video_root) / Path(file).name) if path.is_file()]
    if not paths:
        raise FileNotFoundError(f"video {file} is not in {video_root}")
    index = index_frames(paths[0])
    frames, rate = len(index), float(index.rate)
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
    rate = number(given)
    if given is not None and (rate is None or rate <= 0):
        raise ValueError(f"fps {shown(given)} is not a positive number of frames per second")
    return rate
