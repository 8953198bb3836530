"""Texts that do not learn: they are what the tokenizer makes of them, and a class of many has no advantage."""

import json
import math

import pytest
import torch
from close import close
from hypothesis import given
from hypothesis import strategies as st

from opentad_bi.models.clip.towers import TextEncoder, Tokens
from opentad_bi.models.prompts.fixed_texts import FixedTexts, class_texts
from opentad_bi.registry import PROMPTS

CLASSES = ["Apply Eye Makeup", "Walking_With_Dog", "Archery"]
SENTENCES = {"archery": ["a bow", "an arrow that flies", "a target of straw"], "Walking With Dog": ["a lead", "a dog"]}


@pytest.fixture
def build(tiny_clip):
    tower = TextEncoder(tiny_clip.module)

    def make(classes=CLASSES, **options):
        return PROMPTS.build(
            {"type": "FixedTexts", **options}, classes=classes, tower=tower, tokens=Tokens(tiny_clip.tokenizer)
        )

    make.tower = tower
    return make


@torch.no_grad()
@pytest.mark.parametrize("template", ["{}", "A video of a person doing {}."])
def test_features_are_those_of_the_plain_texts(build, tiny_clip, template):
    texts = [template.format(name) for name in ("Apply Eye Makeup", "Walking With Dog", "Archery")]
    found = build(template=template)
    assert found.texts == texts and not list(found.parameters()) and not found.state_dict()
    features = build.tower(*found(build.tower.token_embedding))
    expected = tiny_clip.module.encode_text(tiny_clip.tokenizer(texts))
    close(features, expected)
    logits = torch.randn(2, 3)
    assert found.reduce(logits) is logits


def test_descriptions_come_from_a_dict_or_a_file_and_a_missing_class_is_told(build, tmp_path, caplog):
    (tmp_path / "d.json").write_text(json.dumps(SENTENCES))
    for source in (SENTENCES, tmp_path / "d.json", str(tmp_path / "d.json")):
        caplog.clear()
        with caplog.at_level("WARNING", logger="opentad_bi"):
            found = build(descriptors=source, template="doing {}")
        assert found.texts == ["doing Apply Eye Makeup", *SENTENCES["Walking With Dog"], *SENTENCES["archery"]]
        assert found.owner.tolist() == [0, 1, 1, 2, 2, 2]
        assert "none for Apply Eye Makeup; the template 'doing {}' is taken" in caplog.text


@given(
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    temperature=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 99),
)
def test_a_class_scores_by_the_mean_of_exp_or_the_best_of_its_texts(counts, temperature, seed):
    generator = torch.Generator().manual_seed(seed)
    texts = FixedTexts.__new__(FixedTexts)
    torch.nn.Module.__init__(texts)
    texts.classes, texts.temperature = counts, temperature
    texts.owner = torch.tensor([k for k, count in enumerate(counts) for _ in range(count)])
    logits = torch.randn(2, 3, len(texts.owner), generator=generator, dtype=torch.float64) * 20
    groups = logits.split(counts, dim=-1)
    texts.pool = "logsumexp"
    means = [temperature * ((g / temperature).logsumexp(-1) - math.log(g.shape[-1])) for g in groups]
    close(texts.reduce(logits), torch.stack(means, -1))
    texts.pool = "max"
    close(texts.reduce(logits), torch.stack([g.amax(-1) for g in groups], -1))


def test_scores_far_apart_stay_finite(build):
    found = build(descriptors={"Archery": ["a bow", "an arrow"], "Apply Eye Makeup": ["a brush"]}, temperature=0.1)
    logits = torch.tensor([[100.0, -100.0, 100.0, -100.0], [-100.0, 100.0, -100.0, -100.0]], requires_grad=True)
    classes = found.reduce(logits)
    close(classes, torch.tensor([[100.0, -100.0, 100.0 - 0.1 * math.log(2)], [-100.0, 100.0, -100.0]]))
    (grad,) = torch.autograd.grad(classes.sum(), logits)
    close(grad, torch.tensor([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.5, 0.5]]))


@pytest.mark.parametrize("pool", ["logsumexp", "max"])
def test_saying_the_same_more_often_is_no_advantage_and_the_gradient_is_that_of_the_scores(build, pool):
    found = build(descriptors={"Archery": ["a bow", "an arrow"], "Apply Eye Makeup": ["a brush"]}, pool=pool)
    logits = torch.tensor([[2.0, 1.0, 2.0, 2.0]], requires_grad=True)  # the two of archery come last
    classes = found.reduce(logits)
    assert classes.tolist() == [[2.0, 1.0, 2.0]]
    (grad,) = torch.autograd.grad(classes.sum(), logits)
    close(grad, torch.tensor([[1.0, 1.0, 0.5, 0.5]]))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"template": "a video"}, ValueError, "template 'a video' needs one {}"),
        ({"template": "{} {}"}, ValueError, "needs one {}"),
        ({"pool": "mean"}, ValueError, "pool 'mean' is not a choice"),
        ({"temperature": 0}, ValueError, "temperature 0 must be a finite number above 0"),
        ({"descriptors": {"Archer": ["a bow"]}}, KeyError, "unknown class 'Archer'; did you mean 'Archery'"),
        ({"descriptors": {"Archery": "a bow"}}, ValueError, "class 'Archery' needs a list of sentences, not 'a bow'"),
        ({"descriptors": {"Archery": []}}, ValueError, "needs a list of sentences"),
        ({"descriptors": {"Archery": ["a bow", " "]}}, ValueError, "needs a list of sentences"),
        (
            {"descriptors": {"Archery": ["a"], "archery": ["b"]}},
            ValueError,
            "'Archery' is given twice, the second time as 'archery'",
        ),
        ({"descriptors": [["a bow"]]}, ValueError, "descriptors must be .* not a list"),
        ({"descriptors": "none.json"}, FileNotFoundError, "descriptors none.json does not exist"),
        ({"template": "word " * 76 + "{}"}, ValueError, r"class 'Apply Eye Makeup' is too long: 79 tokens and 2"),
        (
            {"descriptors": {name: ["a bow", "an arrow"] for name in CLASSES[1:]}},
            ValueError,
            "classes 'Walking_With_Dog' and 'Archery' have the same texts",
        ),
    ],
)
def test_what_cannot_be_is_named(build, options, error, match):
    with pytest.raises(error, match=match):
        build(**options)


def test_a_name_with_braces_is_no_template():
    assert class_texts(["a{}b"], "the {}.") == [["the a{}b."]]
