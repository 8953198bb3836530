"""Settings every test shares, and a CLIP model small enough for tests, with the vocabulary of the real ones."""

import json

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)  # small tensors: threads only get in each other's way
settings.register_profile("default", deadline=None, max_examples=20)
settings.load_profile("default")

# the files that take longest; begun first, so that at the end no process is left alone with one of them
LONGEST = ["test_fusion_training.py", "test_configs.py", "test_train_command.py", "test_detector_laws.py",
           "test_fusion_commands.py", "test_custom_prompt_training.py", "test_frame_anomaly.py"]  # fmt: skip


def pytest_configure(config):
    if hasattr(config.option, "loadscopereorder"):  # of pytest-xdist: by the number of tests of a file
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Tests of the longest files first; else the order stays."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 48, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="session")
def tiny_json(tmp_path_factory):
    """Path of the JSON configuration of a tiny CLIP model: 32 px, 2 layers, joint width 32, causal text tower."""
    path = tmp_path_factory.mktemp("clip") / "tiny.json"
    path.write_text(json.dumps(TINY))
    return path


@pytest.fixture(scope="session")
def tiny_custom_json(tmp_path_factory):
    """The same shape in open_clip's other layout, with the text tower in `text` and without the causal mask."""
    path = tmp_path_factory.mktemp("clip") / "tiny_custom.json"
    text = {**TINY["text_cfg"], "no_causal_mask": True}
    path.write_text(json.dumps({**TINY, "text_cfg": text, "custom_text": True}))
    return path


def _random(path):
    from opentad_bi.models.clip.loading import load_clip

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return load_clip(str(path))


@pytest.fixture(scope="session")
def tiny_clip(tiny_json):
    """The tiny model with random weights, a `CLIPModel`."""
    return _random(tiny_json)


@pytest.fixture(scope="session")
def tiny_custom_clip(tiny_custom_json):
    """The other layout of it."""
    return _random(tiny_custom_json)
