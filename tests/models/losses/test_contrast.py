"""The contrast of pairs: plain InfoNCE where all differ, and what captions that say the same do to it."""

import math

import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from opentad_bi.models.losses.contrast import Columns, hard_contrast, symmetric_contrast

SEEDS = st.integers(0, 9999)
COUNTS = st.integers(1, 7)
KEYS = st.lists(st.integers(0, 3), min_size=1, max_size=8)
ALL = pytest.mark.parametrize("duplicates", ["exclude", "soft", "negatives"])


def pairs(count, seed, width=5):
    g = torch.Generator().manual_seed(seed)
    return [F.normalize(torch.randn(count, width, generator=g, dtype=torch.float32), dim=1) for _ in range(2)]


def contrast(first, second, keys, duplicates="exclude", scale=10.0, **more):
    return symmetric_contrast(first, second, torch.tensor(scale), torch.tensor(keys), duplicates=duplicates, **more)


@ALL
@given(count=COUNTS, seed=SEEDS)
def test_where_all_differ_it_is_plain(duplicates, count, seed):
    first, second = pairs(count, seed)
    logits, goal = 10 * first @ second.T, torch.arange(count)
    wanted = (F.cross_entropy(logits, goal) + F.cross_entropy(logits.T, goal)) / 2
    found = contrast(first, second, list(range(count)), duplicates)
    close(found.loss, wanted)
    close(found.chance, math.log(count), scale=1)
    top1 = ((logits.argmax(1) == goal).float().mean() + (logits.argmax(0) == goal).float().mean()) / 2
    assert found.top1.item() == pytest.approx(top1.item())


@given(count=COUNTS, seed=SEEDS)
def test_where_all_say_the_same_nothing_is_left(count, seed):
    first, second = (x.requires_grad_() for x in pairs(count, seed))
    found = contrast(first, second, [7] * count)
    assert found.loss == 0 and found.chance == 0 and found.top1 == 1
    found.loss.backward()
    assert first.grad.abs().max() == 0 and second.grad.abs().max() == 0


@given(count=st.integers(2, 6), seed=SEEDS)
def test_soft_is_zero_where_the_same_look_the_same(count, seed):
    first, second = pairs(1, seed)
    first, second = first.expand(count, -1), second.expand(count, -1)
    assert contrast(first, second, [7] * count, "soft").loss.item() == pytest.approx(0, abs=1e-5)


@ALL
@given(keys=KEYS, seed=SEEDS, data=st.data())
def test_order_and_direction_do_not_matter(duplicates, keys, seed, data):
    first, second = pairs(len(keys), seed)
    found = contrast(first, second, keys, duplicates)
    order = data.draw(st.permutations(range(len(keys))))
    moved = contrast(first[order], second[order], [keys[i] for i in order], duplicates)
    turned = contrast(second, first, keys, duplicates)
    for other in (moved, turned):
        for one, two in zip(found, other, strict=True):
            close(one, two, ulps=1024)
    assert found.loss > -1e-5


@ALL
@given(keys=KEYS, seed=SEEDS)
def test_it_is_its_definition(duplicates, keys, seed):
    first, second = pairs(len(keys), seed)
    total = 0.0
    for logits in (10 * first @ second.T, 10 * second @ first.T):
        for i, row in enumerate(logits):
            same = [j for j in range(len(keys)) if keys[j] == keys[i]]
            if duplicates == "negatives":
                taken, right = list(range(len(keys))), [i]
            elif duplicates == "exclude":
                taken, right = [j for j in range(len(keys)) if j == i or j not in same], [i]
            else:
                taken, right = list(range(len(keys))), same
            shares = row[right] - row[taken].logsumexp(0)
            total += -shares.mean().item() - math.log(len(right))
    assert contrast(first, second, keys, duplicates).loss.item() == pytest.approx(total / 2 / len(keys), abs=1e-4)


@ALL
@given(keys=KEYS, seed=SEEDS, extra=st.integers(1, 5), data=st.data())
def test_more_columns_are_more_negatives(duplicates, keys, seed, extra, data):
    first, second = pairs(len(keys), seed)
    g = torch.Generator().manual_seed(seed)
    more = F.normalize(torch.randn(extra, 5, generator=g), dim=1)
    plain = contrast(first, second, keys, duplicates)
    none = Columns(more, torch.zeros(len(keys), extra, dtype=torch.bool))
    same = contrast(first, second, keys, duplicates, more_second=[none], more_first=[none])
    close(same.loss, plain.loss)
    assert same.chance == plain.chance
    every = Columns(more, torch.ones(len(keys), extra, dtype=torch.bool))
    assert contrast(first, second, keys, duplicates, more_second=[every]).loss > plain.loss - 1e-6


def test_one_pair_learns_from_more_columns_alone():
    first, second = (x.requires_grad_() for x in pairs(1, 0))
    contrast(first, second, [1]).loss.backward()
    assert first.grad.abs().max() == 0
    more = Columns(pairs(3, 1)[0], torch.tensor([[True, False, True]]))
    found = contrast(first, second, [1], more_second=[more])
    found.loss.backward()
    assert first.grad.abs().max() > 0
    assert found.chance.item() == pytest.approx(math.log(3) / 2)  # three columns one way, one the other


def test_no_pair_is_an_exact_zero_with_a_way_back():
    first, second, scale = torch.zeros(0, 5, requires_grad=True), torch.zeros(0, 5), torch.tensor(3.0)
    found = symmetric_contrast(first, second, scale.requires_grad_(), torch.zeros(0, dtype=torch.int64))
    assert [number.item() for number in found] == [0, 0, 0]
    found.loss.backward()
    assert scale.grad == 0


@given(count=st.integers(1, 5), owners=st.lists(st.integers(0, 4), max_size=8), seed=SEEDS)
def test_hard_negatives_are_told_from_the_own_text(count, owners, seed):
    owners = [owner % count for owner in owners]
    first, second = pairs(count, seed)
    wrong = pairs(len(owners), seed + 1)[0] if owners else torch.zeros(0, 5)
    rows = hard_contrast(first, second, wrong, torch.tensor(owners, dtype=torch.int64), torch.tensor(10.0))
    for i, row in enumerate(rows):
        texts = torch.cat([second[i : i + 1], wrong[[j for j, owner in enumerate(owners) if owner == i]]])
        logits = 10 * first[i : i + 1] @ texts.T
        close(row, F.cross_entropy(logits, torch.tensor([0])), scale=10)


def test_hard_negatives_pass_the_gradient_to_all_three():
    parts = [x.requires_grad_() for x in (*pairs(2, 0), pairs(3, 1)[0])]
    owner, scale = torch.tensor([0, 1, 1]), torch.tensor(7.0)
    first, second, wrong = parts
    logits = [7 * first[i] @ torch.cat([second[i : i + 1], wrong[owner == i]]).T for i in range(2)]
    wanted = sum(F.cross_entropy(row[None], torch.tensor([0])) for row in logits)
    with torch.autocast("cpu", torch.bfloat16):
        found = hard_contrast(first, second, wrong, owner, scale).sum()
    close(found, wanted)
    for one, two in zip(torch.autograd.grad(found, parts), torch.autograd.grad(wanted, parts), strict=True):
        close(one, two, ulps=1024)


def test_hard_negatives_do_not_overflow_and_none_are_an_exact_zero():
    one, scale = F.normalize(torch.ones(1, 5), dim=1).requires_grad_(), torch.tensor(100.0, requires_grad=True)
    found = hard_contrast(one, -one.detach(), one.detach(), torch.tensor([0]), scale)
    assert found.item() == pytest.approx(200, rel=1e-5)
    found.sum().backward()
    assert one.grad.isfinite().all() and scale.grad.item() == pytest.approx(2, rel=1e-4)
    none = hard_contrast(one, one, torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64), scale)
    assert none.tolist() == [0] and none.requires_grad


def test_it_is_in_float32_under_autocast():
    first, second = pairs(4, 0)
    plain = contrast(first, second, [0, 1, 2, 3], scale=100.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(contrast(first, second, [0, 1, 2, 3], scale=100.0).loss, plain.loss)
