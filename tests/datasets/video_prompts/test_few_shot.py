"""Few-shot draws: K per class or an error, no group on both sides, every class for itself; and the class protocols."""

from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import SHARED

from opentad_bi.datasets.video_prompts.few_shot import (
    ACROSS,
    PROTOCOLS,
    choose_labels,
    draw_few_shot,
    film_key,
    hmdb51_film,
    keep_labels,
    kinetics_source,
    ucf101_group,
)
from opentad_bi.datasets.video_prompts.lists import ListedVideo, VideoList, read_hmdb51, read_ucf101

sizes = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=6), min_size=1, max_size=4)
seeds = st.integers(0, 1000)


def make(groups_of_classes):
    """A list from the sizes of the groups of every class: ClassA with two groups of 3 and 1 is [[3, 1]]."""
    classes = tuple(f"Class{chr(65 + i)}" for i in range(len(groups_of_classes)))
    videos = [
        ListedVideo(Path(name, f"v_{name}_g{g + 1:02d}_c{c + 1:02d}.avi"), label)
        for label, (name, groups) in enumerate(zip(classes, groups_of_classes, strict=True))
        for g, size in enumerate(groups)
        for c in range(size)
    ]
    return VideoList(classes, tuple(videos))


def groups_of(videos, group=ucf101_group):
    return {(video.label, group(video.path, videos.classes[video.label])) for video in videos.videos}


def reachable(sizes):
    """All sums of some of the sizes."""
    sums = {0}
    for size in sizes:
        sums |= {total + size for total in sums}
    return sums


# laws of a draw


@given(sizes, st.integers(1, 8), st.integers(0, 8), seeds)
def test_k_per_class_and_disjoint_by_group_or_an_error(groups, shots, val_shots, seed):
    videos = make(groups)
    possible = all(any(val_shots <= n <= sum(own) - shots for n in reachable(own)) for own in groups)
    if not possible:
        with pytest.raises(ValueError, match=r"class 'Class.' has \d+ videos"):
            draw_few_shot(videos, shots, seed=seed, group="ucf101", val_shots=val_shots)
        return
    train, val = draw_few_shot(videos, shots, seed=seed, group="ucf101", val_shots=val_shots)
    assert train.counts() == [shots] * len(groups)
    assert val.counts() == [val_shots] * len(groups)
    assert train.classes == val.classes == videos.classes
    assert len({*train.videos, *val.videos}) == len(train.videos) + len(val.videos)
    assert {*train.videos, *val.videos} <= set(videos.videos)
    assert not groups_of(train) & groups_of(val)


@given(sizes, st.integers(1, 8), st.floats(0.05, 0.6), seeds, st.booleans())
def test_validation_ratio_is_of_groups(groups, shots, share, seed, all_shots):
    videos, shots = make(groups), None if all_shots else shots
    taken = [max(1, round(share * len(own))) for own in groups]
    least = min(sum(sorted(own)[: len(own) - count]) for own, count in zip(groups, taken, strict=True))
    most = min(sum(sorted(own)[count:]) for own, count in zip(groups, taken, strict=True))
    options = {"seed": seed, "group": "ucf101", "val_ratio": share}
    if most < (shots or 1):
        with pytest.raises(ValueError, match="when val_ratio="):
            draw_few_shot(videos, shots, **options)
    if least < (shots or 1):
        return
    train, val = draw_few_shot(videos, shots, **options)
    per_class = Counter(label for label, _ in groups_of(val))
    assert [per_class[label] for label in range(len(groups))] == taken
    assert not groups_of(train) & groups_of(val)
    if all_shots:
        assert {*train.videos, *val.videos} == set(videos.videos)
    else:
        assert train.counts() == [shots] * len(groups)


@given(sizes, st.integers(1, 3), seeds, st.data())
def test_a_draw_does_not_depend_on_the_other_classes_nor_on_the_order(groups, shots, seed, data):
    groups = [[*own, 3, 3] for own in groups]
    videos = make(groups)
    options = {"seed": seed, "group": "ucf101", "val_shots": 2}
    whole = draw_few_shot(videos, shots, **options)
    label = data.draw(st.integers(0, len(groups) - 1))
    alone = draw_few_shot(keep_labels(videos, [label]), shots, **options)
    shuffled = VideoList(videos.classes, tuple(data.draw(st.permutations(videos.videos))))
    for mine, all_of_them, other in zip(alone, whole, draw_few_shot(shuffled, shots, **options), strict=True):
        assert mine == keep_labels(all_of_them, [label])
        assert other == all_of_them


@given(sizes, seeds)
def test_fewer_shots_are_the_first_of_more(groups, seed):
    videos = make(groups)
    most = min(map(sum, groups))
    lists = [draw_few_shot(videos, shots, seed=seed, group="ucf101")[0] for shots in range(1, most + 1)]
    for few, more in pairwise(lists):
        assert set(few.videos) < set(more.videos)


@given(sizes, st.integers(1, 6), seeds)
def test_shots_are_spread_over_the_groups(groups, shots, seed):
    shots = min(shots, *map(sum, groups))
    train, _ = draw_few_shot(make(groups), shots, seed=seed, group="ucf101")
    per_class = Counter(label for label, _ in groups_of(train))
    assert per_class == {label: min(shots, len(own)) for label, own in enumerate(groups)}


@given(seeds, seeds)
def test_another_seed_another_draw(first, second):
    videos = make([[4] * 20] * 3)
    draws = [draw_few_shot(videos, 16, seed=seed, group="ucf101", val_shots=4) for seed in (first, second)]
    assert (draws[0] == draws[1]) == (first == second)


def test_classes_are_drawn_differently():
    train, _ = draw_few_shot(make([[4] * 20] * 3), 8, seed=0)
    ends = [{v.path.stem.split("_", 2)[2] for v in train.videos if v.label == label} for label in range(3)]
    assert ends[0] != ends[1] != ends[2] != ends[0]


def test_groups_of_one_and_no_validation():
    videos = make([[2, 1]])
    train, val = draw_few_shot(videos, None, seed=0)
    assert set(train.videos) == set(videos.videos) and val == VideoList(videos.classes, ())
    train, val = draw_few_shot(videos, 2, seed=0, val_shots=1)
    assert (len(train.videos), len(val.videos)) == (2, 1)
    train, val = draw_few_shot(videos, None, seed=0, group=lambda path, name: path.name[-5], val_shots=1)
    assert [video.path.name[-5] for video in (*train.videos, *val.videos)] in (["1", "1", "2"], ["2", "1"])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"shots": 0}, ValueError, "shots=0"),
        ({"shots": 1, "val_shots": -1}, ValueError, "val_shots=-1"),
        ({"shots": 1, "val_ratio": 1.0}, ValueError, "val_ratio=1.0"),
        ({"shots": 1, "val_shots": 1, "val_ratio": 0.5}, ValueError, "give one of them"),
        ({"shots": 1, "group": "ucf"}, KeyError, "group 'ucf'; did you mean 'ucf101'"),
        ({"shots": 4}, ValueError, r"shots=4 \(of a config: K_train, K_val\): class 'ClassA' has 3 videos only"),
        ({"shots": 2, "val_shots": 2}, ValueError, r"shots=2 and val_shots=2 .*class 'ClassA' has 3 videos only"),
        ({"shots": 1, "val_shots": 1, "group": lambda path, name: 0}, ValueError, "3 videos in 1 groups, which cannot"),
        (
            {"shots": 3, "val_ratio": 0.5, "group": "ucf101"},
            ValueError,
            "'ClassA' has [12] videos in 1 groups when val_",
        ),
        ({"shots": 1, "group": "hmdb51"}, ValueError, "not named as in HMDB51"),
    ],
)
def test_wrong_draws(options, error, match):
    with pytest.raises(error, match=match):
        draw_few_shot(make([[1, 2]]), seed=0, **options)


# groups


def test_ucf101_group():
    assert ucf101_group(Path("A/v_HandStandPushups_g08_c01.avi"), "HandstandPushups") == "08"
    with pytest.raises(ValueError, match=r"'A/b\.mp4' of class 'A' is not named as in UCF101"):
        ucf101_group(Path("A/b.mp4"), "A")


@pytest.mark.parametrize(
    ("file", "name", "film"),
    [
        ("April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "brush_hair", "April_09"),
        ("April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "brush hair", "April_09"),
        ("Crazy_Drunk_Girl_Laugh_laugh_h_cm_np1_fr_goo_1.avi", "laugh", "Crazy_Drunk_Girl_Laugh"),
        ("Wanda_(T)_[#2]!_chew_u_nm_np2_fr_med_0.avi", "chew", "Wanda_(T)_[#2]!"),
    ],
)
def test_hmdb51_film(file, name, film):
    assert hmdb51_film(Path(name, file), name) == film


@pytest.mark.parametrize("file", ["film_kick_u_nm_np1_ba_goo_0.avi", "_chew_u_nm_np1_ba_goo_0.avi", "film_chew.avi"])
def test_not_named_as_in_hmdb51(file):
    with pytest.raises(ValueError, match="not named as in HMDB51") as error:
        hmdb51_film(Path("chew", file), "chew")
    assert file in str(error.value)


@pytest.mark.parametrize(
    ("film", "others"),
    [
        ("Two_Towers_6", ["Two_Towers_1", "TWO_TOWERS", "TwoTowers", "two_towers_-_12_"]),
        ("50_FIRST_DATES", ["50_First_Dates_3"]),
        ("300", ["300"]),
        ("_", ["_"]),
    ],
)
def test_parts_and_spellings_of_a_film_are_one(film, others):
    assert {film_key(other) for other in others} == {film_key(film)} and film_key(film)
    assert film_key(film) not in {film_key(name) for name in ("Two", "First_Dates", "3000", "Towers_2_Two")}


def test_kinetics_source():
    assert kinetics_source(Path("abseiling/0wR5jVB-WPk_000417_000427.mp4"), "abseiling") == "0wR5jVB-WPk"
    assert kinetics_source(Path("abseiling/_a_b_000001_000011.mp4"), "abseiling") == "_a_b"
    assert kinetics_source(Path("abseiling/clip_3.mp4"), "abseiling") == "clip_3"


# films that classes have in common


def make_films(films):
    """A list from {film: [videos of it in each class]}."""
    classes = tuple(f"class{chr(97 + i)}" for i in range(max(map(len, films.values()))))
    videos = [
        ListedVideo(Path(name, f"{film}_{name}_u_nm_np1_ba_goo_{i}.avi"), label)
        for label, name in enumerate(classes)
        for film, counts in films.items()
        for i in range(counts[label] if label < len(counts) else 0)
    ]
    return VideoList(classes, tuple(videos))


def films_of(videos):
    return {film_key(hmdb51_film(video.path, videos.classes[video.label])) for video in videos.videos}


def splits(films, shots, val_shots):
    """All sets of films that may be validation: enough videos of every class on both sides."""
    names, classes = list(films), len(next(iter(films.values())))
    for chosen in product((False, True), repeat=len(names)):
        theirs = [sum(films[n][c] for n, own in zip(names, chosen, strict=True) if own) for c in range(classes)]
        ours = [sum(films[n][c] for n in names) - count for c, count in enumerate(theirs)]
        if min(theirs) >= val_shots and min(ours) >= shots:
            yield chosen


film_sets = st.integers(1, 3).flatmap(
    lambda classes: st.lists(
        st.lists(st.integers(0, 4), min_size=classes, max_size=classes), min_size=2, max_size=7
    ).map(lambda rows: {f"film{chr(97 + i)}": row for i, row in enumerate(rows)})
)


@given(film_sets, st.integers(1, 4), st.integers(1, 3), seeds)
def test_no_film_is_on_both_sides_across_classes_or_an_error(films, shots, val_shots, seed):
    videos, options = make_films(films), {"seed": seed, "group": "hmdb51", "val_shots": val_shots}
    if not any(True for _ in splits(films, shots, val_shots)):
        with pytest.raises(ValueError, match=r"class 'class.' has \d+ videos"):
            draw_few_shot(videos, shots, **options)
        return
    train, val = draw_few_shot(videos, shots, **options)
    assert train.counts() == [shots] * len(videos.classes) and val.counts() == [val_shots] * len(videos.classes)
    assert not films_of(train) & films_of(val)
    reordered = VideoList(videos.classes, videos.videos[::-1])
    assert draw_few_shot(reordered, shots, **options) == (train, val)


@given(film_sets, st.floats(0.1, 0.6), seeds)
def test_a_share_of_films_leaves_none_on_both_sides(films, share, seed):
    videos = make_films({**films, "more": [3] * 3, "again": [2] * 3, "once": [1] * 3, "ever": [5] * 3})
    train, val = draw_few_shot(videos, None, seed=seed, group="hmdb51", val_ratio=share)
    assert min(train.counts()) > 0 and min(val.counts()) > 0 and not films_of(train) & films_of(val)
    assert {*train.videos, *val.videos} == set(videos.videos)


def test_classes_that_share_all_their_films_are_named():
    videos = make_films({"one": [3, 2], "alone": [4, 0]})
    match = r"class 'classb' has 2 videos in 1 groups, 1 of which have videos of other classes too"
    with pytest.raises(ValueError, match=match):
        draw_few_shot(videos, 1, seed=0, group="hmdb51", val_shots=1)
    train, val = draw_few_shot(videos, 2, seed=0, group="hmdb51")  # without validation there is nothing to separate
    assert train.counts() == [2, 2] and not val.videos


def test_another_seed_another_choice_of_films():
    videos = make_films({f"film{chr(97 + i)}": [2, 1, 1] for i in range(12)})
    draws = [draw_few_shot(videos, 4, seed=seed, group="hmdb51", val_shots=2) for seed in range(5)]
    assert len({frozenset(films_of(val)) for _, val in draws}) > 2


# class protocols


@given(sizes, seeds, st.data())
def test_class_protocols(groups, seed, data):
    videos, total = make(groups), len(groups)
    count = data.draw(st.integers(1, total))
    counts = videos.counts()
    chosen = {
        protocol: choose_labels(
            videos, protocol, seed=seed, count=None if protocol in ("all", "base", "new") else count
        )
        for protocol in PROTOCOLS
    }
    assert chosen["all"] == tuple(range(total)) == chosen["base"] + chosen["new"]
    assert len(chosen["base"]) - len(chosen["new"]) in (0, 1)
    assert all(labels == tuple(sorted(set(labels))) for labels in chosen.values())
    for protocol in ("most_frequent", "least_frequent", "random"):
        assert len(chosen[protocol]) == count
    rest = [counts[label] for label in range(total) if label not in chosen["most_frequent"]]
    assert min(counts[label] for label in chosen["most_frequent"]) >= max(rest, default=0)
    rest = [counts[label] for label in range(total) if label not in chosen["least_frequent"]]
    assert max(counts[label] for label in chosen["least_frequent"]) <= min(rest, default=99)


@given(sizes, st.data())
def test_kept_labels_start_at_0_and_keep_names_and_videos(groups, data):
    videos = make(groups)
    labels = data.draw(st.lists(st.integers(0, len(groups) - 1), unique=True))
    kept = keep_labels(videos, labels)
    assert kept.classes == tuple(videos.classes[label] for label in labels)
    expected = [(video.path, videos.classes[video.label]) for video in videos.videos if video.label in labels]
    assert [(video.path, kept.classes[video.label]) for video in kept.videos] == expected


def test_random_classes_differ_by_seed_and_ties_go_to_the_lower_label():
    videos = make([[1]] * 50)
    draws = {choose_labels(videos, "random", count=10, seed=seed) for seed in range(20)}
    assert len(draws) == 20
    assert choose_labels(videos, "random", count=10, seed=3) in draws
    for protocol in ("most_frequent", "least_frequent"):
        assert choose_labels(videos, protocol, count=2) == (0, 1)


@pytest.mark.parametrize(
    ("protocol", "count", "error", "match"),
    [
        ("novel", None, KeyError, r"class protocol 'novel'; .*all, base, least_frequent, most_frequent, new, random"),
        ("base", 3, ValueError, "takes no count, but count=3"),
        ("random", None, ValueError, "count=None is not within 1 and 2 classes"),
        ("most_frequent", 3, ValueError, "count=3 is not within 1 and 2 classes"),
        ("least_frequent", 0, ValueError, "count=0"),
    ],
)
def test_wrong_protocols(protocol, count, error, match):
    with pytest.raises(error, match=match):
        choose_labels(make([[1], [1]]), protocol, count=count)


@pytest.mark.parametrize("labels", [[0, 0], [2], [-1]])
def test_wrong_labels(labels):
    with pytest.raises(ValueError, match=r"not different ones of 0\.\.1"):
        keep_labels(make([[1], [1]]), labels)


# the real lists


@pytest.fixture(scope="module")
def real():
    folder = SHARED / "data/annotations"
    if not (folder / "ucf101").is_dir():
        pytest.skip(f"no real lists at {folder}; set OPENTAD_SHARED to the folder above data/")
    ucf101 = read_ucf101(folder / "ucf101/trainlist01.txt", folder / "ucf101/classInd.txt")
    return {"ucf101": (ucf101, ucf101_group), "hmdb51": (read_hmdb51(folder / "hmdb51", 1, "train"), hmdb51_film)}


def known_by(videos, name, group):
    """What the groups of the videos are known by in all classes."""
    across = ACROSS.get(name, lambda key: key)
    keys = [(v.label, group(v.path, videos.classes[v.label])) for v in videos.videos]
    return {across(key) if name in ACROSS else (label, key) for label, key in keys}


@pytest.mark.parametrize("name", ["ucf101", "hmdb51"])
@pytest.mark.parametrize("shots", [None, 1, 2, 4, 8, 16])
def test_every_real_draw_is_disjoint_from_its_validation(real, name, shots):
    videos, group = real[name]
    for seed in range(3):
        val_shots = min(shots or 4, 4)
        train, val = draw_few_shot(videos, shots, seed=seed, group=name, val_shots=val_shots)
        assert set(val.counts()) == {val_shots}
        assert set(train.counts()) == {shots} if shots else min(train.counts()) >= 50
        assert not known_by(train, name, group) & known_by(val, name, group)


@pytest.mark.parametrize("name", ["ucf101", "hmdb51"])
def test_real_validation_ratio(real, name):
    videos, group = real[name]
    train, val = draw_few_shot(videos, None, seed=0, group=name, val_ratio=0.2)
    assert len(train.videos) + len(val.videos) == len(videos.videos)
    assert min(train.counts()) > 20 and min(val.counts()) > 2
    assert not known_by(train, name, group) & known_by(val, name, group)
