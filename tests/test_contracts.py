"""Components that inherit their contract are seen as they are, others with the defaults of what they lack."""

import pytest
import torch
from torch import nn

from opentad_bi.contracts import (
    Average,
    Dataset,
    Metric,
    Model,
    Network,
    Windowed,
    innermost,
    losses_and_logged,
    sample_name,
    total_loss,
)


class Clip:
    """A record with a name."""

    name = video = "clip"


class Plain:
    """A dataset from elsewhere."""

    classes = ("a", "b")

    def __init__(self, videos=None):
        self.videos = videos

    def epoch_order(self, generator, unit):
        return [unit]

    @classmethod
    def verdicts(cls, arguments, *, full=True, workers=4):
        return [arguments]


class Own(Dataset):
    """A dataset that inherits its contract."""

    allow_overlap = True

    def __init__(self, dataset=None):
        self.dataset = dataset

    def __len__(self):
        return 0

    def __getitem__(self, key):
        return key

    @staticmethod
    def collate(samples):
        return samples

    def windows(self):
        return []


def test_what_a_class_from_elsewhere_has_is_its_own_and_the_rest_the_default():
    seen = Dataset.of(Plain([Clip, "other"]))
    assert seen.classes == ("a", "b") and seen.sample_weights is None and not seen.allow_overlap
    assert seen.epoch_order(torch.Generator(), unit=3) == [3]
    assert seen.video_names() == ["clip", "other"] and Dataset.of(Plain()).video_names() is None
    assert Dataset.of(Plain).verdicts({"x": 1}) == [{"x": 1}] and Dataset.of(Clip).verdicts({}) is None
    assert Model.of(nn.Linear(1, 1)).verdicts({}, batch_size=2) == []
    assert Metric.of(object()).per_class_table() == "" and Metric.of(object()).check_videos(["a"]) is None
    assert Average.of(object()).state_dict() is None
    state = {"weight": torch.ones(1)}
    assert Network.of(nn.Linear(1, 1)).adapt_state_dict(state) == state
    with pytest.raises(AttributeError, match="alow_overlap"):
        Dataset.of(Plain()).alow_overlap  # noqa: B018 - a misspelt name is none of the contract's


def test_a_class_that_inherits_is_itself():
    own = Own()
    assert Dataset.of(own) is own and Dataset.of(Own) is Own and own.allow_overlap
    assert own.epoch_order(torch.Generator(), unit=1) is None
    assert isinstance(own, Windowed) and not isinstance(Plain(), Windowed)
    assert innermost(Own(Own(own))) is own and innermost("data") == "data"
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (Dataset,), {})()


def test_losses_and_what_is_logged_beside_them():
    one, two = torch.tensor(1.0), torch.tensor(2.0)
    assert losses_and_logged({"a": one}) == ({"a": one}, {})
    assert losses_and_logged({"a": one, "b": two, "logged": {"c": two}}) == ({"a": one, "b": two}, {"c": two})
    assert total_loss({"a": one, "b": two, "logged": {"c": two}}) == 3


def test_samples_are_named_by_their_video():
    assert [sample_name(meta) for meta in (Clip(), "sample_1")] == ["clip", "sample_1"]
