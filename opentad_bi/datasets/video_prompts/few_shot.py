"""A few videos per class for training and for validation, and some of the classes.

Videos that look alike are a group, which is not split: clips of one film, which several classes may have in common.

C classes, K videos per class, G groups
"""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...ops.names import class_key
from ...registry import nearest
from .lists import ListedVideo, VideoList

ATTEMPTS = 400


@dataclass(frozen=True)
class Wish:
    """What a class asks of the groups for validation.

    Args:
        sizes: {group: its videos of this class}.
        low: least that validation needs, in videos, or in groups if `by_group`.
        goal: how much it should have, in the same unit.
        high: most videos that it may have, so that enough are left to learn from.
        by_group: are `low` and `goal` numbers of groups?
    """

    sizes: dict
    low: int
    goal: int
    high: int
    by_group: bool = False

    def amount(self, group: Any) -> int:
        """What a group adds, in the unit of `goal`."""
        return 1 if self.by_group else self.sizes[group]


def linked(groups_of_classes: Sequence[set]) -> set[int]:
    """Which classes have a group in common with another class.  Returns a set of labels.

    Args:
        groups_of_classes: list of C sets of groups.
    """
    owners: dict[Any, list[int]] = {}
    for label, groups in enumerate(groups_of_classes):
        for group in groups:
            owners.setdefault(group, []).append(label)
    return {label for labels in owners.values() if len(labels) > 1 for label in labels}


def choose_for_validation(wishes: Mapping[int, Wish], rng: np.random.Generator) -> tuple[set | None, int | None]:
    """Groups for validation, so that every class has what it asks for.

    Groups are taken in a random order, first those that lead no class beyond its goal; what a class still needs then
    comes from any that leave all classes enough to learn from. Orders are tried until one is right.

    Args:
        wishes: {label: Wish}; a group of two classes has one name in both.
    Returns:
        (set of groups, None), or (None, label of a class that gets too little).
    """
    owners: dict[Any, list[int]] = {}
    short: dict[int, int] = {}
    for label, wish in wishes.items():
        for group in wish.sizes:
            owners.setdefault(group, []).append(label)
    names = sorted(owners)
    for attempt in range(ATTEMPTS):
        order = [names[i] for i in rng.permutation(len(names))]
        # every other time without regard to the goals: a group beyond them may be the only one of another class
        chosen, unmet = _choose(wishes, owners, order, by_goal=attempt % 2 == 0)
        if unmet is None:
            return chosen, None
        short[unmet] = short.get(unmet, 0) + 1
    return None, max(short, key=lambda label: short[label])


def _choose(wishes, owners, order, by_goal):
    """(groups taken in one order, None or the label of a class that gets too few)."""
    chosen, videos, amounts = set(), dict.fromkeys(wishes, 0), dict.fromkeys(wishes, 0)

    def take(group, to_goal):
        for label in owners[group]:
            wish = wishes[label]
            if videos[label] + wish.sizes[group] > wish.high:
                return
            if to_goal and amounts[label] + wish.amount(group) > wish.goal:
                return
        chosen.add(group)
        for label in owners[group]:
            videos[label] += wishes[label].sizes[group]
            amounts[label] += wishes[label].amount(group)

    for group in order if by_goal else ():
        take(group, to_goal=True)
    # the class with the fewest groups to choose from first
    for label in sorted(wishes, key=lambda label: (len(wishes[label].sizes), label)):
        for group in order:
            if amounts[label] >= wishes[label].low:
                break
            if group in wishes[label].sizes and group not in chosen:
                take(group, to_goal=False)
        if amounts[label] < wishes[label].low:
            return chosen, label
    return chosen, None


def generator(seed: int) -> np.random.Generator:
    """Random numbers of the sampling over classes, other than those of any class."""
    return np.random.default_rng([seed, 0x66696C6D])


Groups = Mapping[Any, list]  # the videos of a class by group
PROTOCOLS = ("all", "most_frequent", "least_frequent", "random", "base", "new")
_UCF101 = re.compile(r"_g(\d+)_c\d+$")
_HMDB51 = re.compile(r"^(.+)_[a-z]_[a-z]{2}_np\d+_[a-z]{2}_[a-z]{3}_\d+$")
_PART, _SIGNS = re.compile(r"[\W_]+\d+[\W_]*$"), re.compile(r"[\W_]+")
_KINETICS = re.compile(r"^(.+)_\d{6}_\d{6}$")


def ucf101_group(path: Path, class_name: str) -> str:
    """The group of a video of UCF101: "08" of v_ApplyEyeMakeup_g08_c01.avi; its clips are cut from one film."""
    found = _UCF101.search(path.stem)
    if not found:
        raise ValueError(f"video {path.as_posix()!r} of class {class_name!r} is not named as in UCF101 (v_..._g08_c01)")
    return found[1]


def hmdb51_film(path: Path, class_name: str) -> str:
    """The film of a video of HMDB51: what stands before the class in April_09_brush_hair_u_nm_np1_ba_goo_0.avi."""
    found = _HMDB51.match(path.stem)
    ending = "_" + class_name.replace(" ", "_")
    if not found or not found[1].endswith(ending) or found[1] == ending:
        raise ValueError(
            f"video {path.as_posix()!r} is not named as in HMDB51 (<film>{ending}_u_nm_np1_fr_med_0 for this class)"
        )
    return found[1].removesuffix(ending)


def kinetics_source(path: Path, class_name: str) -> str:
    """The video that a clip of Kinetics is cut from: "0wR5jVB-WPk" of 0wR5jVB-WPk_000417_000427.mp4, else the name."""
    found = _KINETICS.match(path.stem)
    return found[1] if found else path.stem


def film_key(film: str) -> str:
    """What spellings and parts of a film have in common: "twotowers" of Two_Towers_6 and TWO_TOWERS."""
    return _SIGNS.sub("", _PART.sub("", film).casefold()) or film


GROUPS = {"ucf101": ucf101_group, "hmdb51": hmdb51_film, "kinetics": kinetics_source}
ACROSS = {"hmdb51": film_key, "kinetics": str}  # groups that classes share, and what one is known by in all of them


def draw_few_shot(
    videos: VideoList,
    shots: int | None,
    *,
    seed: int,
    group: str | Callable[[Path, str], str] | None = None,
    val_shots: int = 0,
    val_ratio: float = 0.0,
) -> tuple[VideoList, VideoList]:
    """Sample videos for training and others for validation from every class; no group of videos is in both.

    Every sampling takes from as many groups as it can. A group of UCF101 (or of a function) is one of a class: the same
    name in two classes is two groups. A film of HMDB51, in all its numbered parts, and a video of Kinetics are one
    group in all classes. What is drawn from a class depends on its own videos, its name and the seed, not on the order
    of the list, nor on the other classes unless it has groups in common with them.

    Args:
        shots: K per class for training, or None: all that validation leaves.
        seed: another seed, another sample.
        group: what to keep together: a name in GROUPS, a function of (path, name of the class), or None: every video
            is a group.
        val_shots: K per class for validation.
        val_ratio: in place of `val_shots`, the share of the groups of a class, at least one, that is validation with
            all its videos.
    Returns:
        VideoList for training and VideoList for validation, in the order of the labels.
    Raises:
        KeyError: an unknown `group`.
        ValueError: a class with too few videos, or whose groups leave no such split, or a value out of its range.
    """
    if (shots is not None and shots < 1) or val_shots < 0 or not 0 <= val_ratio < 1:
        raise ValueError(f"shots={shots}, val_shots={val_shots}, val_ratio={val_ratio}: not >= 1, >= 0, within 0 and 1")
    if val_shots and val_ratio:
        raise ValueError(f"val_shots={val_shots} and val_ratio={val_ratio}: give one of them")
    if group is not None and not callable(group) and group not in GROUPS:
        raise KeyError(f"group {group!r}; {nearest(group, GROUPS)}")
    by_class: list[list[ListedVideo]] = [[] for _ in videos.classes]
    for video in videos.videos:
        by_class[video.label].append(video)
    wanted = _Wanted(shots, val_shots, val_ratio)
    key = group if callable(group) else GROUPS.get(group or "")
    classes = [
        _shuffled_groups(own, name, key, ACROSS.get(group) if isinstance(group, str) else None, seed)
        for name, own in zip(videos.classes, by_class, strict=True)
    ]
    shared = linked([set(groups) for groups in classes]) if group in ACROSS and wanted.validation else set()
    theirs = wanted.choose_together({label: classes[label] for label in shared}, videos.classes, seed)
    train, validation = [], []
    for label, (name, groups) in enumerate(zip(videos.classes, classes, strict=True)):
        chosen = theirs if label in shared else wanted.choose(groups, name)
        train += _in_turn([own for key, own in groups.items() if key not in chosen])[:shots]
        validation += _in_turn([own for key, own in groups.items() if key in chosen])[: val_shots or None]
    return replace(videos, videos=tuple(train)), replace(videos, videos=tuple(validation))


def _shuffled_groups(videos, name, group, across, seed):
    """{group: list of videos} of one class; groups and videos in an order that its name and the seed give."""
    rng = np.random.default_rng([seed, zlib.crc32(class_key(name).encode())])
    found = {}
    for video in sorted(videos, key=lambda video: video.path.parts):
        key = group(video.path, name) if group else video.path
        found.setdefault(across(key) if across else key, []).append(video)
    keys = sorted(found)
    keys = [keys[i] for i in rng.permutation(len(keys))]
    return {key: [found[key][i] for i in rng.permutation(len(found[key]))] for key in keys}


@dataclass(frozen=True)
class _Wanted:
    """How many videos of a class are asked for, as `draw_few_shot` has it, and which groups are validation then."""

    shots: int | None
    val_shots: int
    val_ratio: float

    @property
    def validation(self) -> bool:
        """Is there any?"""
        return bool(self.val_shots or self.val_ratio)

    def choose(self, groups: Groups, name: str) -> set:
        """Keys of a class's groups, {key: videos}, that are validation; ValueError if there is no such choice."""
        self._check(groups, name)
        if self.val_ratio:
            theirs = set(list(groups)[: self._share(groups)])
            self._check_left(groups, name, theirs)
            return theirs
        wish = self._wish(groups)
        sizes = list(wish.sizes.values())
        chosen = _choose_groups(sizes, low=wish.low, high=wish.high, goal=wish.goal) if self.val_shots else set()
        if chosen is None:
            raise ValueError(f"{self._text(groups, name)}, which cannot be split into that many each")
        return {key for i, key in enumerate(groups) if i in chosen}

    def choose_together(self, classes: Mapping[int, Groups], names: Sequence[str], seed: int) -> set:
        """The same for the groups of all `classes`, {label: groups}, some of which have groups in common."""
        for label, groups in classes.items():
            self._check(groups, names[label])
        wishes = {label: self._wish(groups) for label, groups in classes.items()}
        chosen, unmet = choose_for_validation(wishes, generator(seed))
        if unmet is not None:
            own = classes[unmet]
            others = sum(any(key in groups for other, groups in classes.items() if other != unmet) for key in own)
            raise ValueError(
                f"{self._text(own, names[unmet])}, {others} of which have videos of other classes too: no split into "
                "that many each was found that has every group on one side"
            )
        return chosen or set()

    def _wish(self, groups):
        """What the class of these groups asks for."""
        sizes = {key: len(own) for key, own in groups.items()}
        total, needed = sum(sizes.values()), self.shots or 1
        if self.val_ratio:
            return Wish(sizes, low=1, goal=self._share(groups), high=total - needed, by_group=True)
        goal = self.val_shots
        if self.shots is not None and self.val_shots:
            goal = round(total * self.val_shots / (self.shots + self.val_shots))
        return Wish(sizes, low=self.val_shots, goal=goal, high=total - needed)

    def _share(self, groups):
        return max(1, round(self.val_ratio * len(groups)))

    def _text(self, groups, name):
        total = sum(map(len, groups.values()))
        asked = f"val_ratio={self.val_ratio:g}" if self.val_ratio else f"val_shots={self.val_shots}"
        return f"shots={self.shots} and {asked}: class {name!r} has {total} videos in {len(groups)} groups"

    def _check(self, groups, name):
        """ValueError for a class with fewer videos than asked for."""
        total, needed = sum(map(len, groups.values())), 1 if self.shots is None else self.shots
        if not self.val_ratio and total < needed + self.val_shots:
            wanted = f"shots={self.shots}" + (f" and val_shots={self.val_shots}" if self.val_shots else "")
            raise ValueError(f"{wanted} (of a config: K_train, K_val): class {name!r} has {total} videos only")

    def _check_left(self, groups, name, theirs):
        """ValueError if the groups of validation leave too few videos."""
        ours = [own for key, own in groups.items() if key not in theirs]
        if (left := sum(map(len, ours))) < (self.shots or 1):
            raise ValueError(
                f"shots={self.shots}: class {name!r} has {left} videos in {len(ours)} groups "
                f"when val_ratio={self.val_ratio:g} takes {len(theirs)} of its {len(groups)}"
            )


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


def choose_labels(videos: VideoList, protocol: str, *, count: int | None = None, seed: int = 0) -> tuple[int, ...]:
    """Labels of the classes that a protocol keeps.  Returns a tuple of labels in rising order.

    Args:
        videos: VideoList that is counted; that of training, so that the test list says nothing about the choice.
        protocol: one of PROTOCOLS; "base" is the first half of the classes, rounded up, "new" the rest.
        count: how many classes for "most_frequent", "least_frequent" (a tie goes to the lower label) and "random".
        seed: of "random".
    Raises:
        KeyError: an unknown protocol.
        ValueError: a `count` that is unmet, or not used, or not within 1 and C.
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


def keep_labels(videos: VideoList, labels: Sequence[int]) -> VideoList:
    """The videos of some classes, relabelled from 0 in the order of `labels`.

    Args:
        labels: labels in it, each once.
    Raises:
        ValueError: a label out of range, or twice.
    """
    new = {label: i for i, label in enumerate(labels)}
    wrong = [label for label in labels if not 0 <= label < len(videos.classes)]
    if wrong or len(new) != len(labels):
        raise ValueError(f"labels {list(labels)} are not different ones of 0..{len(videos.classes) - 1}")
    kept = [replace(video, label=new[video.label]) for video in videos.videos if video.label in new]
    return replace(videos, classes=tuple(videos.classes[label] for label in labels), videos=tuple(kept))
