"""Which videos a data set has: the classes of a protocol, the files that are there, a random choice of a few of them.

Labels are compared with what the names of files say, as lists are published with class lists in another order.

C classes
"""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import some
from ...ops.names import class_key
from ...registry import VIDEO_LISTS, nearest
from ...utils.annotation import read_block_list
from ...utils.files import read_json
from ...utils.logging import warn
from ...utils.validation import check_choice
from .few_shot import choose_labels, draw_few_shot, keep_labels
from .lists import VideoList, check_files, class_prompt_name, rename_classes

logger = logging.getLogger(__name__)
LIMIT = 0.01  # of the files whose name says their class
_UCF101 = re.compile(r"^v_(.+)_g\d+_c\d+$")
_HMDB51 = re.compile(r"^(.+)_[a-z]_[a-z]{2}_np\d+_[a-z]{2}_[a-z]{3}_\d+$")


def check_labels(videos: VideoList, what: str) -> None:
    """Compare the labels of a list with the classes that its files say: by their names in UCF101 and HMDB51, or folder.

    Raises:
        ValueError: more than one in a hundred of these files stand under another class.
    """
    keys = {class_key(name): label for label, name in enumerate(videos.classes)}
    labelled = [(video, label) for video in videos.videos if (label := _label_of_path(video.path, keys)) is not None]
    wrong = [(video, label) for video, label in labelled if video.label != label]
    if not wrong:
        return
    names = videos.classes
    examples = [f"{video.path.as_posix()} under {names[video.label]!r}" for video, _ in wrong]
    count = f"{len(wrong)} of {len(labelled)} files"
    text = f"{what}: {count} are listed under another class than their names say: {some(examples)}"
    if len(wrong) <= LIMIT * len(labelled):
        warn(text, logger=logger)
        return
    hint = (
        "the classes are in another order than the list's: give that of the list, or `reference`, a list whose names "
    )
    hint += "of classes are right, such as dict(type='ucf101', ...)"
    if all(video.label == label + 1 for video, label in labelled):
        hint = "all labels are one too high, as they start at 1: give first_label=1 beside the list"
    raise ValueError(f"{text}; {hint}")


def _label_of_path(path, keys):
    """Label of the class that a file says it is of, or None."""
    if found := _UCF101.match(path.stem):
        return keys.get(class_key(found[1]))
    if found := _HMDB51.match(path.stem):
        words = found[1].split("_")  # the film, then the class: of "draw_sword" and "sword", the longer is meant
        return next((keys[key] for i in range(1, len(words)) if (key := class_key(" ".join(words[i:]))) in keys), None)
    return next((keys[key] for name in reversed(path.parts[:-1]) if (key := class_key(name)) in keys), None)


PARTS = ("all", "train", "val")


def select_videos(
    videos: Mapping[str, Any] | VideoList,
    root: str | Path,
    *,
    part: str = "all",
    shots: int | None = None,
    val_shots: int = 0,
    val_ratio: float = 0.0,
    group: str | None = None,
    sampling_seed: int = 0,
    protocol: str = "all",
    protocol_count: int | None = None,
    protocol_videos: Mapping[str, Any] | VideoList | None = None,
    protocol_seed: int = 0,
    class_names: Mapping[str, str] | str | Path | None = None,
    reference: Any = None,
    tolerate: float = 0.0,
    block_list: str | Path | Sequence[str] | None = None,
) -> tuple[VideoList, list[str]]:
    """Read a list, keep some classes, leave out what is blocked or missing, and sample; arguments as `VideoFolder` has.

    Returns:
        VideoList with paths relative to `root` as the disk spells them, and a list of C names as prompts spell them.
    Raises:
        FileNotFoundError, KeyError, ValueError: naming the option, list, class or file.
    """
    check_choice("part", part, PARTS)
    if part == "all" and (shots is not None or val_shots or val_ratio):
        raise ValueError(
            f"shots={shots}, val_shots={val_shots}, val_ratio={val_ratio}: part 'all' takes every video; "
            "they are of the parts 'train' and 'val'"
        )
    if part == "val" and not (val_shots or val_ratio):
        raise ValueError("part 'val' is empty without val_shots or val_ratio (of a config: K_val or val_ratio)")
    listed = read_videos(videos, root, reference)
    counted = listed if protocol == "all" or protocol_videos is None else read_videos(protocol_videos, root, reference)
    labels = _same_classes(counted, choose_labels(counted, protocol, count=protocol_count, seed=protocol_seed), listed)
    names = prompt_names(listed.classes, class_names)
    kept = keep_labels(leave_out(listed, read_block_list(block_list)), labels)
    found = check_files(kept, root, tolerate=tolerate)
    if part != "all":
        drawn = draw_few_shot(found, shots, seed=sampling_seed, group=group, val_shots=val_shots, val_ratio=val_ratio)
        found = drawn[PARTS.index(part) - 1]
    counts = found.counts()
    if empty := [name for name, count in zip(found.classes, counts, strict=True) if not count]:
        logger.warning("%d of %d classes have no video below %s: %s", len(empty), len(counts), root, some(empty))
    text = "part %s of %s: %d videos of %d classes, %d to %d of each"
    logger.info(text, part, root, len(found.videos), len(counts), min(counts), max(counts))
    return found, [names[label] for label in labels]


def leave_out(videos: VideoList, blocked: Collection[str]) -> VideoList:
    """A VideoList without the videos of some names, and how many they are is logged.

    Args:
        blocked: set of paths below the root, with suffix or without; spellings that are one to `check_files` are one.
    Raises:
        ValueError: none is left.
    """
    if not blocked:
        return videos
    wanted = {_spelling(name): name for name in sorted(blocked)}
    found = [{_spelling(v.path), _spelling(v.path.with_suffix(""))} & wanted.keys() for v in videos.videos]
    kept = tuple(video for video, names in zip(videos.videos, found, strict=True) if not names)
    if unknown := [wanted[key] for key in wanted.keys() - set().union(*found)]:
        text = "block list: %d names are not in this list of %d videos, though they may be in another: %s"
        logger.warning(text, len(unknown), len(found), some(sorted(unknown)))
    if not kept:
        raise ValueError(f"block list: none of {len(found)} videos is left")
    logger.info("block list: %d of %d videos are left out", len(found) - len(kept), len(found))
    return replace(videos, videos=kept)


def _spelling(path):
    """What two spellings of a path have in common, see `check_files`."""
    *folders, name = PurePosixPath(path).parts
    return (*map(class_key, folders), name.casefold())


def read_videos(videos: Mapping[str, Any] | VideoList, root: str | Path, reference: Any = None) -> VideoList:
    """The list that a config of VIDEO_LISTS names, or a VideoList as it is.

    Args:
        videos: config or VideoList; `root` is given to a reader that asks for it.
        reference: the same, or a list of them: their names of classes are right, see `rename_classes`.
    Raises:
        ValueError: labels of a "numbered" list are not those that its files say, see `check_labels`.
    """
    found = videos if isinstance(videos, VideoList) else VIDEO_LISTS.build(videos, root=root)
    several = reference if isinstance(reference, (list, tuple)) else [reference]
    for other in several:
        if other is not None:
            found = rename_classes(found, read_videos(other, root))
    if isinstance(videos, Mapping) and videos["type"] == "numbered":  # the others name their classes in every line
        check_labels(found, f"video list {videos['list_file']}")
    return found


def prompt_names(classes: Sequence[str], class_names: Mapping[str, str] | str | Path | None = None) -> list[str]:
    """How prompts spell the classes.  Returns a list of C names.

    Args:
        classes: C names by label.
        class_names: {class, however spelt: how a prompt says it}, or a JSON file of that; others are split into words
            by `class_prompt_name`.
    Raises:
        KeyError: an unknown class.
        ValueError: two classes would have one name.
    """
    given = read_json(class_names, "names of classes") if isinstance(class_names, (str, Path)) else class_names or {}
    if not isinstance(given, Mapping):
        raise ValueError(f"class_names {given!r} must be a dict of classes and how a prompt names them")
    keys = {class_key(name): name for name in classes}
    for name in given:
        if class_key(name) not in keys:
            raise KeyError(f"class_names: unknown class {name!r}; {nearest(name, classes)}")
    said = {class_key(name): str(text) for name, text in given.items()}
    names = [said.get(class_key(name)) or class_prompt_name(name) for name in classes]
    for label, name in enumerate(names):
        if (first := names.index(name)) != label:
            raise ValueError(f"classes {classes[first]!r} and {classes[label]!r} would both be {name!r} in prompts")
    return names


def _same_classes(counted, labels, listed):
    """The labels in `listed` of the classes that have `labels` in `counted`; ValueError if there is none."""
    if not labels:
        raise ValueError(f"the protocol keeps none of {len(counted.classes)} classes")
    if counted is listed:
        return labels
    places = {class_key(name): label for label, name in enumerate(listed.classes)}
    names = [counted.classes[label] for label in labels]
    if absent := [name for name in names if class_key(name) not in places]:
        raise KeyError(f"protocol_videos: class {absent[0]!r} is not in the list; {nearest(absent[0], listed.classes)}")
    return tuple(sorted(places[class_key(name)] for name in names))


def video_names(videos: VideoList) -> list[str]:
    """Names of the videos of a VideoList: their paths without suffix; ValueError if two are the same."""
    paths: dict[str, Path] = {}
    for video in videos.videos:
        name = video.path.with_suffix("").as_posix()
        first = paths.setdefault(name, video.path)
        if first != video.path:
            raise ValueError(f"videos {first.as_posix()!r} and {video.path.as_posix()!r} have one name; rename one")
    return list(paths)
