"""Orders of an epoch: all samples, both kinds in every unit, captions that do not meet where they need not."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.datasets.video_anomaly.sampling import balanced_order

samples = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=60)
units, seeds = st.integers(1, 9), st.integers(0, 2**32)


def lay_out(samples, unit, seed, **options):
    kinds, keys = zip(*samples, strict=True)
    return balanced_order(kinds, keys, unit, np.random.default_rng(seed), **options)


def parts(order, unit):
    return [order[i : i + unit] for i in range(0, len(order) // unit * unit, unit)]


@given(samples, units, seeds)
def test_every_sample_comes_once_and_every_unit_has_its_share(samples, unit, seed):
    order = lay_out(samples, unit, seed)
    assert sorted(order) == list(range(len(samples))) and order == lay_out(samples, unit, seed)
    firsts = [sum(samples[i][0] for i in part) for part in parts(order, unit)]
    assert not firsts or max(firsts) - min(firsts) <= 1


@given(samples, units, seeds)
def test_equal_numbers_of_both_kinds(samples, unit, seed):
    order = lay_out(samples, unit, seed, balance="equal")
    kinds = [kind for kind, _ in samples]
    if not 0 < sum(kinds) < len(kinds) or len(samples) < unit:
        assert sorted(order) == list(range(len(samples)))
        return
    assert len(order) == len(samples) // unit * unit
    for part in parts(order, unit):
        assert abs(2 * sum(kinds[i] for i in part) - unit) <= unit % 2
    for kind in (True, False):
        times = Counter({i: 0 for i, own in enumerate(kinds) if own == kind})
        times.update(i for i in order if kinds[i] == kind)
        assert max(times.values()) - min(times.values()) <= 1


@given(st.lists(st.integers(1, 12), min_size=1, max_size=20), st.integers(2, 8), seeds)
def test_no_caption_twice_where_that_can_be(sizes, unit, seed):
    """Copies of a caption that are no more than the units meet nowhere, if the units can be filled at all."""
    samples = [(False, key) for key, size in enumerate(sizes) for _ in range(size)]
    samples = samples[: len(samples) // unit * unit]
    count = len(samples) // unit
    if not count or max(Counter(key for _, key in samples).values()) > count:
        return
    for part in parts(lay_out(samples, unit, seed), unit):
        assert len({samples[i][1] for i in part}) == unit


@given(st.integers(2, 8), st.integers(1, 6), st.integers(2, 12), seeds)
def test_copies_that_must_meet_are_spread_evenly(unit, extra, count, seed):
    copies = min(count + extra, unit * count)
    samples = [(False, "same" if i < copies else i) for i in range(unit * count)]
    met = [sum(samples[i][1] == "same" for i in part) for part in parts(lay_out(samples, unit, seed), unit)]
    assert max(met) - min(met) <= 1


def test_as_in_the_real_files():
    """250 entries share one sentence and 377 sentences differ, in 1559 entries of which 237 are abnormal."""
    keys = [0] * 250 + [1 + i % 376 for i in range(1309)]
    samples = [(i >= 1322, key) for i, key in enumerate(keys)]
    order = lay_out(samples, 16, 0)
    repeats = [16 - len({samples[i][1] for i in part}) for part in parts(order, 16)]
    assert sum(repeats) == 250 - 97 - sum(samples[i][1] == 0 for i in order[-(1559 % 16) :])


def test_orders_differ():
    samples = [(i % 2 == 0, i) for i in range(24)]
    orders = [lay_out(samples, 4, seed) for seed in range(5)]
    assert len({tuple(order) for order in orders}) == 5
    assert len({frozenset(order[:4]) for order in orders}) > 1 and any(order[0] % 2 for order in orders)
