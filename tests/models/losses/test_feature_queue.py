"""The queue holds the newest pairs, says nothing while it warms up, and goes on where it was."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.models.losses.contrast import FeatureQueue


def rows(*values):
    return torch.tensor(values, dtype=torch.float32)[:, None], torch.tensor(values, dtype=torch.int64)


def push(queue, *values):
    features, numbers = rows(*values)
    queue.push(features, -features, numbers)


def held(queue, number=-1):
    """Values of the columns that a pair with that number may choose from, of the first and of the second."""
    sides = queue.columns(torch.tensor([number]))
    return [sorted(side[0].features[side[0].allowed[0], 0].tolist()) if side else [] for side in sides]


@given(size=st.integers(1, 6), batches=st.lists(st.lists(st.integers(0, 50), max_size=9), max_size=6))
def test_it_holds_the_newest(size, batches):
    queue = FeatureQueue(size, 1)
    for batch in batches:
        push(queue, *batch)
    newest = [float(value) for batch in batches for value in batch][-size:]
    assert held(queue) == [sorted(newest), sorted(-value for value in newest)]


def test_the_same_caption_is_no_negative():
    queue = FeatureQueue(4, 1)
    push(queue, 1, 2, 3)
    assert held(queue, 2)[0] == [1, 3]
    (first,), (second,) = queue.columns(torch.tensor([2, 5]), "negatives")
    assert first.allowed.all() and second.allowed.shape == (2, 3)


def test_it_is_filled_before_it_is_used():
    queue = FeatureQueue(4, 1, warmup=2)
    push(queue, 1)
    assert held(queue) == [[], []]
    push(queue, 2)
    assert held(queue)[0] == [1, 2]


def test_it_goes_on_where_it_was():
    queue, other = FeatureQueue(3, 1), FeatureQueue(3, 1)
    push(queue, 1, 2, 3, 4)
    other.load_state_dict(queue.state_dict())
    for one in (queue, other):
        push(one, 5)
    assert torch.equal(queue.first, other.first) and held(queue)[0] == [3, 4, 5]


def test_columns_are_copies_without_gradient():
    queue = FeatureQueue(2, 1)
    features = torch.ones(2, 1, requires_grad=True)
    queue.push(features, features, torch.tensor([1, 2]))
    kept = queue.columns(torch.tensor([0]))[0][0].features
    assert not kept.requires_grad
    push(queue, 8, 9)
    assert kept.tolist() == [[1], [1]]
