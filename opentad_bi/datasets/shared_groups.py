"""Groups of videos that several classes have in common, such as the films of HMDB51: each on one side of a split.

C classes, G groups
"""

from dataclasses import dataclass

import numpy as np

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

    def amount(self, group):
        """What a group adds, in the unit of `goal`."""
        return 1 if self.by_group else self.sizes[group]


def linked(groups_of_classes):
    """Which classes have a group in common with another class.

    Args:
        groups_of_classes: list of C sets of groups.
    Returns:
        set of labels.
    """
    owners = {}
    for label, groups in enumerate(groups_of_classes):
        for group in groups:
            owners.setdefault(group, []).append(label)
    return {label for labels in owners.values() if len(labels) > 1 for label in labels}


def choose_for_validation(wishes, rng):
    """Groups for validation, so that every class has what it asks for.

    Groups are taken in a random order, first those that lead no class beyond its goal; what a class still needs then
    comes from any that leave all classes enough to learn from. Orders are tried until one is right.

    Args:
        wishes: {label: Wish}; a group of two classes has one name in both.
        rng: numpy generator.
    Returns:
        (set of groups, None), or (None, label of a class that gets too little).
    """
    owners, short = {}, {}
    for label, wish in wishes.items():
        for group in wish.sizes:
            owners.setdefault(group, []).append(label)
    names = sorted(owners)
    for attempt in range(ATTEMPTS):
        order = [names[i] for i in rng.permutation(len(names))]
        # every other time without regard to the goals: a group beyond them may be the only one of another class
        chosen, lacking = _choose(wishes, owners, order, by_goal=attempt % 2 == 0)
        if lacking is None:
            return chosen, None
        short[lacking] = short.get(lacking, 0) + 1
    return None, max(short, key=short.get)


def _choose(wishes, owners, order, by_goal):
    """(groups taken in one order, None or the label of a class that lacks some)."""
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


def generator(seed):
    """Random numbers of the draw over classes, other than those of any class."""
    return np.random.default_rng([seed, 0x66696C6D])
