"""Prompts: what stands where, what learning starts from, and what is refused."""

import copy
import json

import pytest
import torch
from close import close
from hypothesis import given, settings
from hypothesis import strategies as st

from opentad_bi.models.clip.towers import TextEncoder, Tokens
from opentad_bi.models.prompts.class_prompts import class_sentences
from opentad_bi.models.prompts.prompt_learner import PromptLearner, nearest_tokens

CLASSES = ["Normal", "Abuse", "RoadAccidents", "Shoplifting"]
SENTENCES = {
    "Normal": "an ordinary day in the street",
    "Abuse": "a person hurting another who cannot defend himself",
    "RoadAccidents": "cars that crash",
    "Shoplifting": "a customer who hides goods in a bag and walks out of the shop",
}
MODES = {
    "random": {"n_ctx": 5},
    "random_csc": {"n_ctx": 5, "csc": True},
    "shared_init": {"ctx_mode": "shared_init", "ctx_init": "a surveillance video of"},
    "shared_init_csc": {"ctx_mode": "shared_init", "ctx_init": "a surveillance video of", "csc": True},
    "class_init": {"ctx_mode": "class_init", "class_prompts": SENTENCES},
    "class_prefix": {"ctx_mode": "class_prefix", "class_prompts": SENTENCES, "n_ctx": 3},
}
POSITIONS = ("end", "middle", "front")


@pytest.fixture
def parts(tiny_clip):
    """The tower (of its own) and the tokens of the tiny model."""
    return TextEncoder(copy.deepcopy(tiny_clip.module)).requires_grad_(False), Tokens(tiny_clip.tokenizer)


def features(learner, tower):
    return tower(*learner(tower.token_embedding))


@torch.no_grad()
@pytest.mark.parametrize("name", ["class_init", "shared_init"])
def test_a_sentence_to_start_from_gives_the_features_of_that_text(tiny_clip, parts, name):
    tower, tokens = parts
    learner = PromptLearner(CLASSES, tower, tokens, **MODES[name])
    sentences = SENTENCES.values() if name == "class_init" else ["a surveillance video of"] * 4
    texts = [f"{sentence} {label}." for sentence, label in zip(sentences, CLASSES, strict=True)]
    expected = tiny_clip.module.encode_text(tiny_clip.tokenizer(texts))
    close(features(learner, tower), expected)
    assert learner.length == int(learner.eot_index.max()) + 1 < 77


@torch.no_grad()
def test_the_whole_length_gives_the_features_of_the_text_exactly(tiny_custom_clip):
    tower, tokens = TextEncoder(tiny_custom_clip.module), Tokens(tiny_custom_clip.tokenizer)
    learner = PromptLearner(CLASSES, tower, tokens, **MODES["class_init"])
    texts = [f"{SENTENCES[label]} {label}." for label in CLASSES]
    assert learner.length == 77
    expected = tiny_custom_clip.module.encode_text(tiny_custom_clip.tokenizer(texts))
    assert torch.equal(features(learner, tower), expected)


@torch.no_grad()
@pytest.mark.parametrize("name", MODES)
def test_features_of_a_class_do_not_depend_on_the_other_classes(parts, name):
    tower, tokens = parts
    torch.manual_seed(3)
    learner = PromptLearner(CLASSES, tower, tokens, **MODES[name])
    options = dict(MODES[name])
    if "class_prompts" in options:
        options["class_prompts"] = {"Abuse": SENTENCES["Abuse"]}
    alone = PromptLearner(["Abuse"], tower, tokens, **options)
    alone.ctx.copy_(learner.ctx[list(learner.rows[1])])
    close(features(alone, tower)[0], features(learner, tower)[1])


@pytest.mark.parametrize("name", MODES)
def test_the_three_positions_have_the_end_of_text_at_the_same_place(parts, name):
    tower, tokens = parts
    made = {p: PromptLearner(CLASSES, tower, tokens, class_token_position=p, **MODES[name]) for p in POSITIONS}
    ends = [learner.eot_index.tolist() for learner in made.values()]
    assert ends[0] == ends[1] == ends[2]
    for learner in made.values():
        at = learner.token_ids[torch.arange(4), learner.eot_index]
        assert set(at.tolist()) == set(tokens.end)
        assert (learner.source[:, 0] == -1).all()
        for k, label in enumerate(CLASSES):
            bare = learner.token_ids[k][learner.source[k] < 0].tolist()
            name_ids = tokens.encode(label)
            assert any(bare[i : i + len(name_ids)] == name_ids for i in range(len(bare)))
    orders = {tuple(learner.source[2].tolist()) for learner in made.values()}
    assert len(orders) == 3


def test_the_name_stands_in_the_middle_of_the_context(parts):
    tower, tokens = parts
    learner = PromptLearner(CLASSES, tower, tokens, n_ctx=5, class_token_position="middle")
    name = len(tokens.encode("RoadAccidents"))
    assert learner.source[2][:12].tolist() == [-1, 0, 1, *[-1] * name, 2, 3, 4, *[-1] * (12 - 6 - name)]


@pytest.mark.parametrize("name", MODES)
def test_every_vector_learns_and_belongs_to_its_class_alone(parts, name):
    tower, tokens = parts
    learner = PromptLearner(CLASSES, tower, tokens, **MODES[name])
    features(learner, tower)[1].square().sum().backward()
    touched = learner.ctx.grad.abs().sum(1) > 0
    own = torch.zeros(len(learner.ctx), dtype=torch.bool)
    own[list(learner.rows[1])] = True
    assert torch.equal(touched, own)
    assert sum(map(len, learner.rows)) == len(learner.ctx) or not learner.class_specific  # no row is padding
    assert tower.token_embedding.weight.grad is None


def test_no_vector_is_moved_by_decay_that_no_prompt_holds(parts):
    # contexts of unequal length lie without padding, so decay has nothing else to move
    tower, tokens = parts
    learner = PromptLearner(CLASSES, tower, tokens, **MODES["class_init"])
    lengths = [len(tokens.encode(sentence)) for sentence in SENTENCES.values()]
    assert [len(rows) for rows in learner.rows] == lengths and len(set(lengths)) > 1
    assert len(learner.ctx) == sum(lengths) == len(learner.source[learner.source >= 0].unique())


@settings(max_examples=15)
@given(seed=st.integers(0, 999), count=st.integers(1, 20), position=st.sampled_from(POSITIONS))
def test_context_vectors_stand_where_the_layout_says(tiny_clip, seed, count, position):
    torch.manual_seed(seed)
    tower, tokens = TextEncoder(tiny_clip.module), Tokens(tiny_clip.tokenizer)
    learner = PromptLearner(CLASSES, tower, tokens, n_ctx=count, csc=True, class_token_position=position)
    embeddings, eot = learner(tower.token_embedding)
    for k, rows in enumerate(learner.rows):
        places = (learner.source[k] >= 0).nonzero()[:, 0]
        assert torch.equal(embeddings[k, places], learner.ctx[list(rows)])
        ids = learner.token_ids[k, : embeddings.shape[1]]
        others = (learner.source[k, : embeddings.shape[1]] < 0).nonzero()[:, 0]
        assert torch.equal(embeddings[k, others], tower.token_embedding(ids[others]))
        assert int(eot[k]) == len(tokens.start) + count + len(tokens.encode(CLASSES[k])) + 1


def test_sentences_joined_to_one_are_refused_with_the_cause(parts):
    tower, tokens = parts
    many = [f"Kind{i}" for i in range(14)]
    sentences = {name: f"a video of people who do the thing number {i} in the street" for i, name in enumerate(many)}
    joined = " ".join(sentences.values())
    with pytest.raises(ValueError, match=r"186 tokens of context.*were joined to one.*ln\(number of classes\)"):
        PromptLearner(many, tower, tokens, ctx_mode="shared_init", ctx_init=joined)
    same = dict.fromkeys(many, "a photo of a person who does the thing that this class is called after")
    PromptLearner(many, tower, tokens, ctx_mode="class_init", class_prompts=same)  # one start for all is no mistake
    nested = {"Kind0": "a person walking", "Kind1": "a person walking and fighting"}
    PromptLearner(many[:2], tower, tokens, ctx_mode="class_init", class_prompts=nested)
    for wrong in (joined, dict.fromkeys(many, joined), {**sentences, "Kind0": joined}):
        with pytest.raises(ValueError, match="the sentences of all classes were joined to one"):
            PromptLearner(many, tower, tokens, ctx_mode="class_init", class_prompts=wrong)


def test_a_prompt_that_is_too_long_is_refused_or_cut_when_asked(parts):
    tower, tokens = parts
    long = {**SENTENCES, "Abuse": "word " * 90}
    options = {"ctx_mode": "class_init", "class_prompts": long}
    with pytest.raises(ValueError, match=r"class 'Abuse' is too long: 90 tokens .* make 94, but the tower takes 77"):
        PromptLearner(CLASSES, tower, tokens, **options)
    learner = PromptLearner(CLASSES, tower, tokens, on_overflow="truncate_ctx", **options)
    assert len(learner.rows[1]) == 77 - 4 and int(learner.eot_index[1]) == 76
    assert tokens.encode("Abuse")[0] in learner.token_ids[1].tolist()
    with pytest.raises(ValueError, match=r"'Normal' is too long: n_ctx 80, .* make 84, .* choose n_ctx at most 73"):
        PromptLearner(CLASSES, tower, tokens, n_ctx=80, on_overflow="truncate_ctx")


def test_the_longest_prompt_that_fits_and_the_shortest_that_does_not(parts):
    tower, tokens = parts
    name = len(tokens.encode("RoadAccidents"))
    fits = 77 - 2 - 1 - name
    assert int(PromptLearner(["RoadAccidents"], tower, tokens, n_ctx=fits).eot_index[0]) == 76
    with pytest.raises(ValueError, match="make 78, but the tower takes 77"):
        PromptLearner(["RoadAccidents"], tower, tokens, n_ctx=fits + 1)
    options = {"ctx_mode": "shared_init", "ctx_init": "word " * 90, "on_overflow": "truncate_ctx"}
    learner = PromptLearner(["Abuse", "RoadAccidents"], tower, tokens, **options)
    assert {len(rows) for rows in learner.rows} == {fits}  # all share what the longest name leaves
    assert int(learner.eot_index.max()) == 76


def test_a_fixed_sentence_stands_before_the_context(parts):
    tower, tokens = parts
    for position in POSITIONS:
        learner = PromptLearner(CLASSES, tower, tokens, class_token_position=position, **MODES["class_prefix"])
        for k, label in enumerate(CLASSES):
            said, name = tokens.encode(SENTENCES[label]), tokens.encode(label)
            middle = {"end": [-1, -1, -1, *name], "middle": [-1, *name, -1, -1], "front": [*name, -1, -1, -1]}[position]
            wanted = [*tokens.start, *said, *middle, *tokens.encode("."), *tokens.end]
            row = torch.where(learner.source[k] >= 0, -1, learner.token_ids[k])
            assert row[: len(wanted)].tolist() == wanted and (row[len(wanted) :] == tokens.pad).all()


def test_random_vectors_have_the_deviation_asked_for(parts):
    for std in (0.02, 0.5):
        torch.manual_seed(0)
        learner = PromptLearner(CLASSES, *parts, n_ctx=60, init_std=std)
        assert learner.ctx.std().item() == pytest.approx(std, rel=0.05)
        assert abs(learner.ctx.mean().item()) < 0.1 * std


@torch.no_grad()
@pytest.mark.parametrize("label", ["Fight!", "Kick (ball)", "C++", "a.m."])
def test_names_that_end_in_a_sign_keep_it(tiny_clip, parts, label):
    tower, tokens = parts
    learner = PromptLearner(
        ["Normal", label], tower, tokens, ctx_mode="class_init", class_prompts={label: "a video of"}
    )
    expected = tiny_clip.module.encode_text(tiny_clip.tokenizer([f"a video of {label}."]))
    close(features(learner, tower)[1:], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ctx_mode": "class"}, "ctx_mode 'class' is not a choice; did you mean"),
        ({"on_overflow": "cut"}, "on_overflow 'cut' is not a choice; known: error, truncate_ctx"),
        ({"class_token_position": "last"}, "class_token_position 'last' is not a choice; known: end, front, middle"),
        ({"n_ctx": 0}, "n_ctx 0 must be a whole number"),
        ({"ctx_mode": "shared_init"}, "needs a sentence as ctx_init"),
        ({"ctx_mode": "class_init", "n_ctx": 4}, "n_ctx has no effect with ctx_mode 'class_init'; it is for random"),
        ({"ctx_init": "a photo"}, "ctx_init has no effect with ctx_mode 'random'"),
    ],
)
def test_wrong_options_are_named(parts, options, message):
    with pytest.raises(ValueError, match=message):
        PromptLearner(CLASSES, *parts, **options)


def test_two_classes_with_one_prompt_are_refused(parts):
    with pytest.raises(ValueError, match="classes 'Abuse' and 'abuse' have the same prompt, token by token"):
        PromptLearner(["Normal", "Abuse", "abuse"], *parts, n_ctx=4)


def test_sentences_come_in_any_spelling_and_those_missing_are_made(tmp_path, caplog):
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"road_accidents": "cars that  crash", "NORMAL": "a quiet day"}))
    with caplog.at_level("WARNING", logger="opentad_bi"):
        found = class_sentences(str(path), ["Normal", "Abuse", "RoadAccidents"])
    assert found == ["a quiet day", "a video with abuse", "cars that crash"]
    assert "none for Abuse" in caplog.text
    assert class_sentences(None, ["Normal"]) == ["a normal scene without any anomaly"]


def test_wrong_sentences_are_named(tmp_path):
    with pytest.raises(KeyError, match="unknown class 'Abused'; did you mean 'Abuse'"):
        class_sentences({"Abused": "x"}, CLASSES)
    with pytest.raises(ValueError, match="class 'Abuse' needs a sentence, not ' '"):
        class_sentences({"Abuse": " "}, CLASSES)
    with pytest.raises(ValueError, match="class 'Abuse' is given twice, the second time as 'abuse'"):
        class_sentences({"Abuse": "x", "abuse": "y"}, CLASSES)
    with pytest.raises(ValueError, match=r"must be \{class: sentence\} or .*, not a list"):
        class_sentences(["x"], CLASSES)
    with pytest.raises(FileNotFoundError, match=r"class_prompts none\.json does not exist"):
        class_sentences("none.json", CLASSES)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        class_sentences(tmp_path / "bad.json", CLASSES)


@torch.no_grad()
def test_the_nearest_tokens_of_a_start_are_the_sentence(parts):
    tower, tokens = parts
    learner = PromptLearner(CLASSES, tower, tokens, **MODES["class_init"])
    told = learner.describe(tower.token_embedding, tokens, count=2)
    assert list(told) == CLASSES
    words = [near[0]["token"] for near in told["RoadAccidents"]["nearest_tokens"]]
    assert words == ["cars", "that", "crash"] and told["RoadAccidents"]["prompt"] == "cars that crash"
    assert all(near[0]["distance"] < 1e-2 < near[1]["distance"] for near in told["Abuse"]["nearest_tokens"])
    assert told["Abuse"]["context_shape"] == [len(told["Abuse"]["context_vector"]), 48]
    json.dumps(told)
    moved = learner.ctx + torch.randn_like(learner.ctx) * 0.02
    ids, far = nearest_tokens(moved, tower.token_embedding.weight, 3)
    brute = (moved[:, None] - tower.token_embedding.weight[ids]).norm(dim=2)
    close(far, brute, ulps=8192)
    assert (far.diff(dim=1) >= 0).all()
    ids, far = nearest_tokens(torch.zeros(1, 2), torch.tensor([[3.0, 4], [0, 5], [9, 9], [-4, 3]]), 3)
    assert ids.tolist() == [[0, 1, 3]] and far.tolist() == [[5, 5, 5]]


def test_contexts_of_coop_are_taken_and_those_of_other_classes_refused(parts):
    tower, tokens = parts
    learner = PromptLearner(CLASSES, tower, tokens, **MODES["random_csc"])
    coop = {"ctx": torch.randn(4, 5, 48), "token_prefix": torch.zeros(1), "token_suffix": torch.zeros(1)}
    state = learner.adapt_state_dict(coop)
    learner.load_state_dict(state)
    assert torch.equal(learner.ctx.view(4, 5, 48), coop["ctx"])
    for other in ((3, 5), (5, 4)):  # the second has as many vectors
        with pytest.raises(
            ValueError, match=f"hold {other[0]} x {other[1]} context vectors, but these 4 classes have 20"
        ):
            learner.adapt_state_dict({"ctx": torch.randn(*other, 48)})
    with pytest.raises(ValueError, match="hold 15 context vectors"):
        learner.adapt_state_dict({"ctx": torch.randn(15, 48)})
    fixed = {name: PromptLearner(CLASSES, tower, tokens, csc=name, **MODES["class_prefix"]) for name in (True, False)}
    swapped = {**SENTENCES, "Normal": SENTENCES["Abuse"], "Abuse": SENTENCES["Normal"]}
    for csc, learner in fixed.items():
        options = {**MODES["class_prefix"], "class_prompts": swapped, "csc": csc}
        other = PromptLearner(CLASSES, tower, tokens, **options)
        if not csc:  # vectors that classes share serve other sentences
            other.load_state_dict(other.adapt_state_dict(learner.state_dict()))
            continue
        with pytest.raises(ValueError, match="were learned in other prompts"):
            other.adapt_state_dict(learner.state_dict())
    with pytest.raises(ValueError, match=r"hold 4 x 5 context vectors, .* give csc=True"):
        PromptLearner(CLASSES, tower, tokens, n_ctx=5).adapt_state_dict(coop)
    shared = PromptLearner(CLASSES[:2], tower, tokens, n_ctx=5)
    shared.load_state_dict(shared.adapt_state_dict({"ctx": torch.randn(5, 48)}))
