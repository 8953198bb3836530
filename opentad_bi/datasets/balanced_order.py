"""An order of samples in which every unit holds its share of both kinds and, where it can be, no caption twice.

N samples, U units
"""

from collections import Counter, defaultdict

import numpy as np

BALANCES = ("share", "equal")


def balanced_order(kinds, keys, unit, generator, *, balance="share"):
    """Lay samples out in units.

    Args:
        kinds: (N,) truth values: is it of the first kind?
        keys: N hashable values; two samples of one unit should differ in them.
        unit: samples of a unit.
        generator: numpy.random.Generator.
        balance: "share": every sample once, and every unit has its share of both kinds, to within one; the rest that
            fills no unit stands at the end. "equal": as many full units, with both kinds half and half; the rarer kind
            comes repeatedly, and the other not as a whole. With one kind alone it is "share".
    Returns:
        list of indices.
    """
    kinds = np.asarray(kinds, dtype=bool)
    units = len(kinds) // unit
    order = generator.permutation(len(kinds))
    if not units:
        return order.tolist()
    if balance == "equal" and 0 < kinds.sum() < len(kinds):
        quotas = _spread(units * unit // 2, units)
        chosen = [_repeated(np.flatnonzero(kinds == kind), total, generator)
                  for kind, total in ((True, quotas.sum()), (False, units * unit - quotas.sum()))]  # fmt: skip
        rest = []
    else:
        used, rest = order[: units * unit], order[units * unit :].tolist()
        chosen = [used[kinds[used]], used[~kinds[used]]]
        quotas = _spread(len(chosen[0]), units)
    generator.shuffle(quotas)
    places = [[] for _ in range(units)]
    held = defaultdict(Counter)  # of every key: its samples by unit
    for own, free in zip(chosen, (quotas, unit - quotas), strict=True):
        _place(own, keys, free.copy(), places, held, generator)
    for place in places:
        generator.shuffle(place)
    return [int(index) for place in places for index in place] + rest


def _spread(total, units):
    """`total` things in `units` parts that differ by one at most."""
    ends = np.arange(units + 1) * total // units
    return np.diff(ends)


def _repeated(indices, total, generator):
    """So many of the indices: shuffled, again and again if needed."""
    rounds = -(-total // len(indices))
    return np.concatenate([generator.permutation(indices) for _ in range(rounds)] or [indices])[:total]


def _place(indices, keys, free, places, held, generator):
    """Put indices into units with `free` places, those of the most frequent key first, in units that lack it.

    Of these, the ones with the most free places are taken: so a later key finds as many units as can be left to it.
    """
    by_key = defaultdict(list)
    for index in indices:
        by_key[keys[index]].append(index)
    for key in sorted(by_key, key=lambda key: -len(by_key[key])):
        copies = np.zeros(len(free), dtype=np.int64)
        for place, count in held[key].items():
            copies[place] = count
        for index in by_key[key]:
            rank = copies * (free.max() + 1) - free + 0.5 * generator.random(len(free))
            place = int(np.argmin(np.where(free > 0, rank, np.inf)))
            places[place].append(int(index))
            held[key][place] += 1
            copies[place] += 1
            free[place] -= 1
