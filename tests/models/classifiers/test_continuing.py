"""What one method's run gives another one: all that means the same there, and nothing that does not."""

import re

import pytest
import torch
from test_video_clip import CLASSES, METHODS, batch_of, build, probabilities  # noqa: F401 - build is a fixture

from opentad_bi.engine.checkpoint import save_checkpoint
from opentad_bi.engine.warm_start import continue_from

LEARNER = METHODS["video_coop"]["prompt"]


def keep(model, path, classes=None):
    """Leave what a run leaves, with numbers that no fresh model has."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01)
    state = model.state_dict()
    save_checkpoint(
        path, {"state_dict": state, "state_dict_ema": state, "classes": classes or model.classes, "epoch": 3}
    )
    return state


def names_taken(model, state):
    return {name for name, value in model.state_dict().items() if name in state and torch.equal(value, state[name])}


@pytest.mark.parametrize("target", METHODS)
@pytest.mark.parametrize("source", ["video_coop", "vilt", "stt"])
def test_what_two_methods_share_goes_over_and_the_rest_is_told(build, tmp_path, caplog, source, target):  # noqa: F811
    state = keep(build(**METHODS[source]), tmp_path / "c.pth")
    model = build(**METHODS[target])
    trained = dict(model.named_parameters())
    same = {name for name in trained if name in state and state[name].shape == trained[name].shape}
    same -= {name for name, parameter in trained.items() if not parameter.requires_grad}
    caplog.set_level("INFO", "opentad_bi")
    if same <= {"logit_scale"}:
        with pytest.raises(ValueError, match="fresh start"):
            continue_from("model", model, str(tmp_path / "c.pth"))
        return
    continue_from("model", model, str(tmp_path / "c.pth"))
    assert same <= names_taken(model, state)
    told = set(re.findall(r"[\w.*]+", caplog.text))
    for name in [*trained, *state]:
        if not name.startswith(("text_encoder.", "image_encoder.", "tower_digest")):
            assert {name, re.sub(r"\b\d+\b", "*", name)} & told, name
    if source == target:
        other = build(**METHODS[source])
        other.load_state_dict(state)
        assert torch.equal(probabilities(model.eval(), batch_of()), probabilities(other.eval(), batch_of()))


def test_contexts_of_other_classes_are_left_out_and_shared_ones_taken(build, tmp_path, caplog):  # noqa: F811
    others = ["Biking", "Diving", "Skiing"]
    caplog.set_level("INFO", "opentad_bi")
    own = {**METHODS["video_coop"], "prompt": {**LEARNER, "csc": True}}
    for csc in (True, False):
        options = own if csc else METHODS["video_coop"]
        state = keep(build(classes=others, **options), tmp_path / "c.pth")
        model = build(**options)
        continue_from("model", model, str(tmp_path / "c.pth"))
        assert ("prompt_learner.ctx" in names_taken(model, state)) is not csc
        assert "pooling.query" in names_taken(model, state)
    state = keep(build(**own), tmp_path / "c.pth")
    model = build(**METHODS["video_coop"])
    continue_from("model", model, str(tmp_path / "c.pth"))
    assert "prompt_learner.ctx" not in names_taken(model, state)
    assert "prompt_learner.ctx: file (6, 48), network (2, 48)" in caplog.text


def test_vectors_learned_at_other_places_of_the_text_are_left_out(build, tmp_path, caplog):  # noqa: F811
    state = keep(build(**METHODS["video_coop"]), tmp_path / "c.pth")
    model = build(**{**METHODS["video_coop"], "prompt": {**LEARNER, "class_token_position": "front"}})
    continue_from("model", model, str(tmp_path / "c.pth"))
    assert names_taken(model, state) >= {"pooling.query"} and "prompt_learner.ctx" not in names_taken(model, state)
    assert "class_token_position" in caplog.text


def test_another_tower_is_refused(build, tmp_path):  # noqa: F811
    model = build(**METHODS["video_coop"])
    keep(model, tmp_path / "c.pth")
    other = build(**METHODS["video_coop"])
    other.tower_digest = 255 - other.tower_digest
    with pytest.raises(ValueError, match="another text tower"):
        continue_from("model", other, str(tmp_path / "c.pth"))
    assert model.classes == CLASSES
