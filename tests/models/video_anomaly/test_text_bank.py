"""The feature of a class is the mean direction of its texts, kept while nothing changes."""

import copy

import pytest
import torch
from close import close
from torch.nn import functional as F

from opentad_bi.models.video_anomaly.encoders import CaptionEncoder
from opentad_bi.models.video_anomaly.scoring import TextBank

TEXTS = {"Normal": ["an empty street", "people walk", "a quiet shop"], "Fire": ["flames"]}


@pytest.fixture
def encoder(tiny_clip):
    encoder = CaptionEncoder(copy.deepcopy(tiny_clip))
    return encoder.requires_grad_(True)  # other tests freeze the model that all share


@torch.no_grad()
def test_it_is_the_direction_of_the_mean_of_directions(encoder):
    found = TextBank(["Normal", "Fire", "Road_Accident"], "a video of {}", TEXTS)(encoder)
    wanted = F.normalize(F.normalize(encoder.encode(TEXTS["Normal"]), dim=1).mean(0), dim=0)
    close(found[0], wanted)
    close(found[1:], F.normalize(encoder.encode(["flames", "a video of Road Accident"]), dim=1))


@torch.no_grad()
def test_it_is_kept_until_the_tower_changes(encoder):
    bank = TextBank(["Normal", "Fire"], texts=TEXTS)
    first = bank.kept(encoder)
    assert bank.kept(encoder) is first
    encoder.text_projection.normal_()
    again = bank.kept(encoder)
    assert again is not first and not torch.allclose(again, first)


def test_a_text_of_an_unknown_class_is_named():
    with pytest.raises(KeyError, match="unknown class 'Fires'; did you mean 'Fire'"):
        TextBank(["Normal", "Fire"], texts={"Fires": ["flames"]})
