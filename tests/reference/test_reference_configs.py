"""Our configs carry the values of the existing toolbox's, as its merged configs list them.

Only for the genuine files: those of another folder say nothing about ours, and are left to the tests that build from
them.
"""

import hashlib
import json
from pathlib import Path

import pytest
from opentad_config import translate_model
from places import ROOT

from opentad_bi.config import load_config

CONFIGS = ROOT / "configs"
# file of the reference: our config, and the start of the file's digest
OURS = {
    "resolved_config_adatad_thumos_s": ("adatad/thumos/e2e_thumos_videomae_s_768x1_160_adapter", "193109af9f7b630f"),
    "resolved_config_adatad_thumos_b": ("adatad/thumos/e2e_thumos_videomae_b_768x1_160_adapter", "5d8d839757a3f500"),
    "resolved_config_adatad_thumos_h": ("adatad/thumos/e2e_thumos_videomae_h_768x1_160_adapter", "ac9f2efbc7052aee"),
    "resolved_config_actionformer_thumos_i3d": ("actionformer/thumos_i3d", "1fdeeb715f268fd6"),
}
# steps of a pipeline that others of ours do along with their own work
IMPLIED = {"PrepareVideoInfo", "DecordInit", "FormatShape", "ConvertToTensor", "Rearrange"}
RENAMED = {"DecordDecode": "DecodeFrames"}
# where our data lies, and what has no counterpart: one clip per sample, and voting, which is off with `multiclass`
ELSEWHERE = {"ann_file", "class_map", "data_path", "block_list", "num_clips", "voting_thresh"}


@pytest.fixture(params=OURS)
def configs(request, reference, load_reference):
    """(ours, the reference's) as plain dicts."""
    (name, genuine), file = OURS[request.param], f"{request.param}.json"
    if not (reference / file).is_file():
        pytest.skip(f"{reference} has no {file}")
    theirs = load_reference(file)
    if not digest(theirs).startswith(genuine):
        pytest.skip(f"{file} of {reference} is not that of the published config")
    return load_config(CONFIGS / f"{name}.py").to_dict(), theirs


def digest(content):
    """SHA-256 of `content` as JSON without spaces, keys sorted."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def carries(ours, theirs, where):
    """Every value of `theirs` stands in `ours`; lists and tuples are the same thing."""
    if isinstance(theirs, dict):
        for key in set(theirs) - ELSEWHERE:
            assert key in ours, f"{where}.{key}"
            carries(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs), where
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            carries(*pair, f"{where}.{i}")
    else:
        assert ours == theirs, f"{where}: {ours!r} is not {theirs!r}"


def plain_pipeline(steps):
    """The steps of a pipeline of the reference that have one of ours as a counterpart, under our names."""
    named = [{**step, "type": step["type"].split(".")[-1]} for step in steps]
    kept = [step for step in named if step["type"] not in IMPLIED]
    return [{**step, "type": RENAMED.get(step["type"], step["type"])} for step in kept]


def test_model(configs):
    ours, theirs = configs
    wanted = translate_model(theirs["model"])
    if "backbone" in wanted:
        vit = wanted["backbone"]["backbone"]
        assert vit.pop("adapter_index") == list(range(vit["depth"]))
        assert ours["model"]["backbone"]["backbone"]["adapter_index"] is None  # all of them
    carries(ours["model"], wanted, "model")


def test_data(configs):
    ours, theirs = configs
    for split in ("train", "test"):
        data, wanted = ours["dataset"][split], dict(theirs["dataset"][split])
        steps = plain_pipeline(wanted.pop("pipeline"))
        carries(data, wanted, split)
        assert [step["type"] for step in data["pipeline"]] == [step["type"] for step in steps]
        for step, other in zip(data["pipeline"], steps, strict=True):
            if step["type"] == "Collect":
                assert step.get("keys") is None or set(step["keys"]) == set(other["keys"])
                assert step.get("inputs", "imgs") == other["inputs"]
            else:
                carries(step, other, f"{split}.{step['type']}")
        for key in ("ann_file", "class_map"):
            assert Path(data[key]).name == Path(wanted[key]).name
        assert (data.get("block_list") is None) == (wanted["block_list"] is None)


def test_optimizer_and_schedule(configs):
    ours, theirs = configs
    branch, wanted = ours["branches"]["model"], theirs["optimizer"]
    backbone = dict(wanted.get("backbone") or {})
    # the rest of the backbone is frozen by `trainable` instead of by a rate of 0
    if backbone:
        assert backbone.pop("lr") == backbone.pop("weight_decay") == 0
        assert backbone["exclude"] == ["backbone"]
    carries(branch["optimizer"], {**wanted, **({"backbone": backbone} if backbone else {})}, "optimizer")
    carries(branch["scheduler"], theirs["scheduler"], "scheduler")
    assert branch["clip_grad_norm"] == theirs["solver"]["clip_grad_norm"]
    if "backbone" in theirs["model"]:
        assert branch["pretrained"]["path"] == theirs["model"]["backbone"]["custom"]["pretrain"]


def test_solver_and_workflow(configs):
    ours, theirs = configs
    solver, wanted = ours["solver"], theirs["solver"]
    for split in ("train", "test"):
        assert solver[split]["batch_size"] == wanted[split]["batch_size"]
    assert solver["amp"] == ("fp16" if wanted.get("amp") else None)
    for key in ("fp16_compress", "static_graph"):
        assert bool(solver.get(key)) == wanted.get(key, False)
    assert wanted["ema"]
    assert solver["ema"] == {"type": "ExponentialMovingAverage", "decay": 0.999, "warm_up": False}
    flow = {key: value for key, value in theirs["workflow"].items() if key != "val_loss_interval"}
    flow.setdefault("end_epoch", theirs["scheduler"]["max_epoch"])
    carries(ours["workflow"], flow, "workflow")


def test_evaluation(configs):
    ours, theirs = configs
    metric, wanted = ours["evaluation"], theirs["evaluation"]
    carries(metric, {key: value for key, value in wanted.items() if key != "ground_truth_filename"}, "evaluation")
    nms = theirs["post_processing"]["nms"]
    assert nms["multiclass"] or not nms.get("voting_thresh")
    carries(metric["nms"], nms, "nms")
    for key in ("pre_nms_thresh", "pre_nms_topk"):
        if key in theirs["post_processing"]:
            assert ours["model"][key] == theirs["post_processing"][key]
