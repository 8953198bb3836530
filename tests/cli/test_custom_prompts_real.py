"""Real features of UCF-Crime through the whole command; skipped where they are not at hand.

Five anomalous training videos of three classes are all there is: no normal video and none of the test set, so that
neither a normal class nor frame-level numbers can be shown on them.
"""

import json

import pytest
import torch
from places import SHARED

from opentad_bi.cli.demo import write_tower
from opentad_bi.cli.main import call

FOLDER = SHARED / "data" / "features" / "ucf_crime_clip"


@pytest.fixture
def real_set(tmp_path):
    """Class folders of links to the real files, and a tower of their width."""
    if not FOLDER.is_dir():
        pytest.skip(f"no real features at {FOLDER}; set OPENTAD_SHARED to the folder above data/")
    for path in FOLDER.glob("*.npy"):
        own = tmp_path / "features" / "".join(c for c in path.name.partition("_")[0] if c.isalpha())
        own.mkdir(parents=True, exist_ok=True)
        (own / path.name).symlink_to(path)
    write_tower(tmp_path / "tower.json", tmp_path / "tower.safetensors", 0, embed_dim=512)
    yield tmp_path
    torch.use_deterministic_algorithms(False)


def test_seconds_of_real_videos_are_told_apart(real_set, capfd):
    features, out = real_set / "features", real_set / "out"
    words = ["--feature-dir", features, "--val-feature-dir", features, "--output-dir", out, "--device", "cpu"]
    words += ["--clip-model", real_set / "tower.json", "--pretrained", real_set / "tower.safetensors"]
    words += [
        "--unit-duration",
        "30",
        "--crop-separator",
        "__",
        "--epochs",
        "10",
        "--warmup-epochs",
        "0",
        "--lr",
        "0.1",
    ]
    sentences = SHARED / "data" / "annotations" / "ucf_crime" / "class_prompts_example.json"
    three = {
        name: text for name, text in json.loads(sentences.read_text()).items() if name in ("Abuse", "Arrest", "Arson")
    }
    (real_set / "prompts.json").write_text(json.dumps(three))
    assert call("custom_prompt_training", [*words, "--initial-prompts-file", real_set / "prompts.json"]) == 0
    told = json.loads((out / "gpu1_id0" / "classification.json").read_text())
    assert told["classes"] == ["Abuse", "Arrest", "Arson"] and told["unit"]["samples"] == 270
    assert told["unit"]["top1"] > 0.95 and told["video"]["top1"] == 1
    assert "265 samples" in capfd.readouterr().err
    # the whole file of sentences names classes that are not there
    assert (
        call(
            "custom_prompt_training", [*words, "--initial-prompts-file", sentences, "--output-dir", real_set / "other"]
        )
        == 1
    )
    assert "class_prompts: unknown class 'Normal'" in capfd.readouterr().err
