"""A few videos per class for training and for validation, by groups of videos that look alike, and some of the classes.

C classes, K videos per class
"""

import re
import zlib
from dataclasses import replace

import numpy as np

from ..ops.video_names import class_key
from ..registry import nearest

PROTOCOLS = ("all", "most_frequent", "least_frequent", "random", "base", "new")
_UCF101 = re.compile(r"_g(\d+)_c\d+$")
_HMDB51 = re.compile(r"^(.+)_[a-z]_[a-z]{2}_np\d+_[a-z]{2}_[a-z]{3}_\d+$")


def ucf101_group(path, class_name):
    """The group of a video of UCF101: "08" of v_ApplyEyeMakeup_g08_c01.avi; its clips are cut from one film."""
    found = _UCF101.search(path.stem)
    if not found:
        raise ValueError(f"video {path.as_posix()!r} of class {class_name!r} is not named as in UCF101 (v_..._g08_c01)")
    return found[1]


def hmdb51_film(path, class_name):
    """The film of a video of HMDB51: what stands before the class in April_09_brush_hair_u_nm_np1_ba_goo_0.avi."""
    found = _HMDB51.match(path.stem)
    ending = "_" + class_name.replace(" ", "_")
    if not found or not found[1].endswith(ending) or found[1] == ending:
        raise ValueError(
            f"video {path.as_posix()!r} is not named as in HMDB51 (<film>{ending}_u_nm_np1_fr_med_0 for this class)"
        )
    return found[1].removesuffix(ending)


GROUPS = {"ucf101": ucf101_group, "hmdb51": hmdb51_film}


def draw_few_shot(videos, shots, *, seed, group=None, val_shots=0, val_share=0.0):
    """Draw videos for training and others for validation from every class; no group of a class is in both.

    Every draw takes from as many groups as it can. A group is one of a class: the same name in two classes is two
    groups. What is drawn from a class depends on its own videos, its name and the seed, not on the other classes
    nor on the order of the list.

    Args:
        videos: VideoList.
        shots: K per class for training, or None: all that validation leaves.
        seed: another seed, another draw.
        group: what to keep together: a name in GROUPS, a function of (path, name of the class), or None: every video
            is a group.
        val_shots: K per class for validation.
        val_share: in place of `val_shots`, the share of the groups of a class, at least one, that is validation with
            all its videos.
    Returns:
        VideoList for training and VideoList for validation, in the order of the labels.
    Raises:
        KeyError: an unknown `group`.
        ValueError: a class with too few videos, or a value out of its range.
    """
    if (shots is not None and shots < 1) or val_shots < 0 or not 0 <= val_share < 1:
        raise ValueError(f"shots={shots}, val_shots={val_shots}, val_share={val_share}: not >= 1, >= 0, within 0 and 1")
    if val_shots and val_share:
        raise ValueError(f"val_shots={val_shots} and val_share={val_share}: give one of them")
    if group is not None and not callable(group) and group not in GROUPS:
        raise KeyError(f"group {group!r}; {nearest(group, GROUPS)}")
    by_class = [[] for _ in videos.classes]
    for video in videos.videos:
        by_class[video.label].append(video)
    train, validation = [], []
    for name, own in zip(videos.classes, by_class, strict=True):
        rng = np.random.default_rng([seed, zlib.crc32(class_key(name).encode())])
        groups = _shuffled_groups(own, name, GROUPS.get(group, group) if not callable(group) else group, rng)
        ours, theirs = _split(groups, name, shots, val_shots, val_share)
        train += _in_turn(ours)[:shots]
        validation += _in_turn(theirs)[: val_shots or None]
    return replace(videos, videos=tuple(train)), replace(videos, videos=tuple(validation))


def _shuffled_groups(videos, name, group, rng):
    """The videos of one class as lists, one per group; groups and videos in an order by `rng`."""
    found = {}
    for video in sorted(videos, key=lambda video: video.path.parts):
        found.setdefault(group(video.path, name) if group else video.path, []).append(video)
    lists = [found[key] for key in sorted(found)]
    lists = [lists[i] for i in rng.permutation(len(lists))]
    return [[own[i] for i in rng.permutation(len(own))] for own in lists]


def _split(groups, name, shots, val_shots, val_share):
    """The groups for training and those for validation."""
    total, needed = sum(map(len, groups)), 1 if shots is None else shots
    if val_share:
        count = max(1, round(val_share * len(groups)))
        theirs, ours = groups[:count], groups[count:]
        if (left := sum(map(len, ours))) < needed:
            raise ValueError(
                f"shots={shots}: class {name!r} has {left} videos in {len(ours)} groups "
                f"when val_share={val_share:g} takes {len(theirs)} of its {len(groups)}"
            )
        return ours, theirs
    if total < needed + val_shots:
        wanted = f"shots={shots} and val_shots={val_shots}" if val_shots else f"shots={shots}"
        raise ValueError(f"{wanted} (of a config: K_train, K_val): class {name!r} has {total} videos only")
    if not val_shots:
        return groups, []
    goal = val_shots if shots is None else round(total * val_shots / (shots + val_shots))
    chosen = _choose_groups([len(own) for own in groups], low=val_shots, high=total - needed, goal=goal)
    if chosen is None:
        raise ValueError(
            f"shots={shots} and val_shots={val_shots}: class {name!r} has {total} videos in {len(groups)} groups, "
            "which cannot be told apart into that many each"
        )
    return [own for i, own in enumerate(groups) if i not in chosen], [groups[i] for i in sorted(chosen)]


def _choose_groups(sizes, *, low, high, goal):
    """Indices of groups that hold `low` to `high` videos in all, as near to `goal` as can be, or None.

    Bit n of reach[i] says whether some of the first i groups hold n videos together, so that a way is found if one is.
    """
    reach = [1]
    for size in sizes:
        reach.append(reach[-1] | reach[-1] << size)
    sums = [n for n in range(low, high + 1) if reach[-1] >> n & 1]
    if not sums:
        return None
    left, chosen = min(sums, key=lambda n: abs(n - goal)), set()
    for i in reversed(range(len(sizes))):
        if not reach[i] >> left & 1:
            chosen.add(i)
            left -= sizes[i]
    return chosen


def _in_turn(groups):
    """Videos of groups: the first of each, then the second of each, and so on."""
    longest = max(map(len, groups), default=0)
    return [own[i] for i in range(longest) for own in groups if i < len(own)]


def choose_labels(videos, protocol, *, count=None, seed=0):
    """Labels of the classes that a protocol keeps.

    Args:
        videos: VideoList that is counted; that of training, so that the test list says nothing about the choice.
        protocol: one of PROTOCOLS; "base" is the first half of the classes, rounded up, "new" the rest.
        count: how many classes for "most_frequent", "least_frequent" (a tie goes to the lower label) and "random".
        seed: of "random".
    Returns:
        tuple of labels in rising order.
    Raises:
        KeyError: an unknown protocol.
        ValueError: a `count` that is lacking, or not used, or not within 1 and C.
    """
    if protocol not in PROTOCOLS:
        raise KeyError(f"class protocol {protocol!r}; {nearest(protocol, PROTOCOLS, every=True)}")
    total = len(videos.classes)
    if protocol in ("all", "base", "new"):
        if count is not None:
            raise ValueError(f"class protocol {protocol!r} takes no count, but count={count}")
        half = -(-total // 2)
        return tuple({"all": range(total), "base": range(half), "new": range(half, total)}[protocol])
    if count is None or not 1 <= count <= total:
        raise ValueError(f"class protocol {protocol!r}: count={count} is not within 1 and {total} classes")
    if protocol == "random":
        return tuple(sorted(np.random.default_rng(seed).permutation(total)[:count].tolist()))
    sign = -1 if protocol == "most_frequent" else 1
    counts = videos.counts()
    return tuple(sorted(sorted(range(total), key=lambda label: sign * counts[label])[:count]))


def keep_labels(videos, labels):
    """The videos of some classes, relabelled from 0 in the order of `labels`.

    Args:
        videos: VideoList.
        labels: labels in it, each once.
    Returns:
        VideoList.
    Raises:
        ValueError: a label out of range, or twice.
    """
    new = {label: i for i, label in enumerate(labels)}
    wrong = [label for label in labels if not 0 <= label < len(videos.classes)]
    if wrong or len(new) != len(labels):
        raise ValueError(f"labels {list(labels)} are not different ones of 0..{len(videos.classes) - 1}")
    kept = [replace(video, label=new[video.label]) for video in videos.videos if video.label in new]
    return replace(videos, classes=tuple(videos.classes[label] for label in labels), videos=tuple(kept))
