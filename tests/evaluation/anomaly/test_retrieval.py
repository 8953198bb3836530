"""The metric of retrieval: ranks and guessing against brute force, files, bad input."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.evaluation.anomaly.retrieval import CaptionRetrieval, chance_level, first_right
from opentad_bi.ops.records import CaptionFeatures, RowScores, UnitMeta
from opentad_bi.registry import METRICS

NUMBERS = st.lists(st.integers(0, 3), min_size=1, max_size=8)
SEEDS = st.integers(0, 2**31)


def unit_rows(count, seed, width=4):
    rows = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def result(video, caption, regions=(), seed=0):
    features = unit_rows(2 + 2 * len(regions), seed)
    count = len(regions)
    return CaptionFeatures(
        UnitMeta(video, 0, 1), caption, list(regions), features[0], features[1], features[2 : 2 + count],
        features[2 + count :],
    )  # fmt: skip


def computed(results, **options):
    metric = METRICS.build({"type": "CaptionRetrieval", **options})
    metric.update(results)
    return metric.compute()["model"]


@given(numbers=NUMBERS, seed=SEEDS)
def test_ranks_are_those_of_sorting(numbers, seed):
    queries, items = unit_rows(len(numbers), seed), unit_rows(len(numbers), seed + 1)
    for i, rank in enumerate(first_right(queries, items, np.array(numbers))):
        order = np.argsort(-(queries[i] @ items.T), kind="stable")
        assert rank == 1 + next(place for place, j in enumerate(order) if numbers[j] == numbers[i])


@given(numbers=NUMBERS, count=st.integers(1, 9))
def test_guessing_is_the_share_of_draws_with_a_right_item(numbers, count):
    draws = list(combinations(range(len(numbers)), min(count, len(numbers))))
    shares = [np.mean([any(numbers[j] == own for j in draw) for draw in draws]) for own in numbers]
    assert chance_level(np.array(numbers), count) == pytest.approx(np.mean(shares))


def test_many_queries_are_compared_in_parts(monkeypatch):
    numbers, queries, items = np.arange(20) % 7, unit_rows(20, 0), unit_rows(20, 1)
    whole = first_right(queries, items, numbers)
    monkeypatch.setattr("opentad_bi.evaluation.anomaly.retrieval._AT_ONCE", 6)
    assert first_right(queries, items, numbers).tolist() == whole.tolist()


def test_a_model_that_tells_nothing_apart_finds_nothing():
    same = np.ones((5, 3), dtype=np.float32)
    assert first_right(same, same, np.arange(5)).tolist() == [5] * 5


@given(st.permutations(range(4)), st.integers(1, 4))
def test_order_and_batches_do_not_matter(order, size):
    results = [result(f"v{i}", f"caption {i % 3}", [f"region {i % 2}"] * (i % 3), seed=i) for i in range(4)]
    metric = CaptionRetrieval()
    moved = [results[i] for i in order]
    for start in range(0, 4, size):
        metric.update(moved[start : start + size])
    assert metric.compute()["model"] == computed(results)


def test_captions_that_say_the_same_are_equally_right():
    one, two = result("a", "A fire."), result("b", "a  fire", seed=1)
    assert computed([one, two])["video_to_text_r1"] == 1
    assert computed([one, two])["guess_video_r1"] == 1


def test_partners_that_agree_are_found():
    rows = np.eye(4, dtype=np.float32)
    results = [
        CaptionFeatures(
            UnitMeta(f"v{i}", 0, 1), f"c{i}", [f"r{i}"], rows[i], rows[i], rows[i][None], rows[(i + 1) % 4][None]
        )
        for i in range(4)
    ]
    numbers = computed(results, ranks=[1, 4])
    assert numbers["video_to_text_r1"] == numbers["text_to_video_r1"] == 1
    assert numbers["region_to_text_r1"] == numbers["text_to_region_r1"] == 0
    assert numbers["region_to_text_r4"] == 1 and numbers["guess_region_r1"] == 0.25
    assert (numbers["videos"], numbers["regions"]) == (4, 4)


def test_score_table_and_file(tmp_path):
    results = [result(f"v{i}", f"c{i}", [f"r{i}"], seed=i) for i in range(6)]
    for select, name in (("region", "region"), ("video", "video")):
        metric = CaptionRetrieval(select=select)
        metric.update(results)
        metrics = metric.compute()
        numbers = metrics["model"]
        assert metric.score(metrics) == (numbers[f"{name}_to_text_r1"] + numbers[f"text_to_{name}_r1"]) / 2
    table = metric.table(metrics).splitlines()
    assert table[0].split() == ["retrieval", "queries", "R@1", "R@5", "chance@1", "chance@5"]
    assert len(table) == 6 and table[-1].startswith("text to region")
    assert f"{100 * numbers['text_to_region_r5']:.2f}" in table[-1]
    metric.save(tmp_path)
    assert json.loads((tmp_path / "retrieval.json").read_text()) == numbers


def test_both_directions_worked_out_by_hand():
    seen, said = np.eye(3, dtype=np.float32), np.float32([[1, 0, 0], [0.9, 0.1, 0], [0.8, 0, 0.2]])
    results = [
        CaptionFeatures(UnitMeta("v", i, 1), f"c{i}", [], seen[i], said[i], seen[:0], said[:0]) for i in range(3)
    ]  # the same name, other windows
    metric = CaptionRetrieval(ranks=[1, 2])
    metric.update(results)
    numbers = metric.compute()["model"]
    assert (numbers["video_to_text_r1"], numbers["text_to_video_r1"]) == (1, pytest.approx(1 / 3))
    assert (numbers["text_to_video_r2"], numbers["guess_video_r1"]) == (1, pytest.approx(1 / 3))
    assert metric.table({"model": numbers}).splitlines()[2].split()[-4:] == ["100.00", "100.00", "33.33", "66.67"]
    metric.update([replace(results[0], meta=UnitMeta("w", 0, 1), caption="c9")])
    assert metric.compute()["model"]["videos"] == 4


def test_without_regions_videos_decide(tmp_path):
    metric = CaptionRetrieval()
    metric.update([result("a", "x"), result("b", "y", seed=1)])
    metrics = metric.compute()
    assert "region" not in metric.table(metrics) and metrics["model"]["regions"] == 0
    numbers = metrics["model"]
    assert metric.score(metrics) == (numbers["video_to_text_r1"] + numbers["text_to_video_r1"]) / 2


def test_bad_input():
    with pytest.raises(ValueError, match=r"select 'regions' is not a choice.*region"):
        CaptionRetrieval(select="regions")
    for ranks in ([], [5, 1], [1, 1]):
        with pytest.raises(ValueError, match="rising"):
            CaptionRetrieval(ranks=ranks)
    with pytest.raises(ValueError, match="ranks 0 must be a whole number"):
        CaptionRetrieval(ranks=[0])
    metric = CaptionRetrieval()
    with pytest.raises(ValueError, match="no results"):
        metric.compute()
    metric.update([result("a", "x")])
    with pytest.raises(ValueError, match="two results for video 'a'"):
        metric.update([result("a", "x")])
    broken = result("b", "x")
    broken.video[0] = np.nan
    with pytest.raises(ValueError, match="video 'b' are not all finite"):
        metric.update([broken])
    broken = result("c", "x", ["y"])
    broken.regions[0, 0] = np.inf
    with pytest.raises(ValueError, match="video 'c' are not all finite"):
        metric.update([broken])
    with pytest.raises(ValueError, match="captions are retrieved by CaptionFeatures, but the model predicts RowScores"):
        metric.update([RowScores(UnitMeta("a", 0, 1), 0, np.ones((1, 2)))])
    unscored = CaptionRetrieval(scored=False)
    unscored.save("nowhere")
    unscored.update([result("a", "x")])
    with pytest.raises(ValueError, match="scored=False"):
        unscored.compute()
