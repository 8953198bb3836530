"""A detector from a config and a checkpoint alone, or one error that says what is missing."""

import pytest
import torch
from anomaly_files import write_anomaly_config, write_anomaly_weights
from detect_files import CLASSES, PAIR, write_config, write_weights

from opentad_bi.apis import detect, init_detector
from opentad_bi.apis.common import choose_device
from opentad_bi.apis.detection import check_classes
from opentad_bi.config import load_config
from opentad_bi.engine.runner import precision
from opentad_bi.registry import MODELS


@pytest.fixture
def config(tmp_path):
    return write_config(tmp_path)


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_averaged_weights_are_preferred_and_a_key_chooses(config, tmp_path):
    path = write_weights(config, tmp_path / "a.pth")
    state = torch.load(path, weights_only=True)
    live = {name: tensor * 0 for name, tensor in state["state_dict_ema"].items()}
    torch.save({**state, "state_dict": live}, path)
    model = init_detector(config, path, "cpu").model
    assert not model.training
    assert all(torch.equal(tensor, state["state_dict_ema"][name]) for name, tensor in weights_of(model).items())
    model = init_detector(config, f"{path}:state_dict", "cpu").model
    assert not any(tensor.any() for tensor in weights_of(model).values())


def test_the_device_is_cuda_where_there_is_one(monkeypatch):
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(None) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="device cuda: 0 CUDA devices are available here; choose cpu"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="invalid device 'gpu'; choose cpu or cuda"):
        choose_device("gpu")


def test_names_come_from_the_argument_the_checkpoint_or_the_config(config, tmp_path):
    with_names, without = (
        write_weights(config, tmp_path / f"{i}.pth", classes=c) for i, c in enumerate((CLASSES, None))
    )
    names = tmp_path / "names.txt"
    names.write_text("Run\nSwim\n")
    assert init_detector(config, with_names, "cpu").classes == CLASSES
    assert init_detector(config, with_names, "cpu", classes=["x", "y"]).classes == ["x", "y"]
    assert init_detector(config, with_names, "cpu", classes=names).classes == ["Run", "Swim"]
    options = {"class_map": str(names)}
    assert init_detector(config, with_names, "cpu", options=options).classes == CLASSES
    assert init_detector(config, without, "cpu", options=options).classes == ["Run", "Swim"]
    with pytest.raises(ValueError, match=r"the checkpoint does not hold them.*category_idx\.txt.*give classes: a list"):
        init_detector(config, without, "cpu")
    with pytest.raises(FileNotFoundError, match=r"list of classes .*gone\.txt does not exist"):
        init_detector(config, without, "cpu", classes=tmp_path / "gone.txt")
    with pytest.raises(ValueError, match=r"there are 3 names .* a, b, c, but model has 2 classes"):
        init_detector(config, without, "cpu", classes=["a", "b", "c"])


def test_names_of_the_checkpoint_keep_their_labels(config, tmp_path):
    path = write_weights(config, tmp_path / "a.pth")
    assert init_detector(config, path, "cpu", classes=["Dive", "Leap"]).classes == ["Dive", "Leap"]
    with pytest.raises(ValueError, match=r"0 is 'Dive' in .*a\.pth, but 'Jump' in classes"):
        init_detector(config, path, "cpu", classes=CLASSES[::-1])


def test_models_without_such_a_head_take_any_names():
    check_classes(["a"], type("Model", (), {"branches": lambda self: {"model": object()}})())


def test_a_pair_from_two_single_runs(tmp_path, videos):
    single, config = write_config(tmp_path), tmp_path / "pair.py"
    files = [write_weights(single, tmp_path / f"{seed}.pth", seed=seed) for seed in (1, 2)]
    config.write_text(single.read_text() + PAIR)
    given = {"for_checkpoint": files[0], "back_checkpoint": files[1]}
    detector = init_detector(config, device="cpu", **given)
    assert detector.classes == CLASSES
    for path, network in zip(files, (detector.model.for_model, detector.model.back_model), strict=True):
        state = torch.load(path, weights_only=True)["state_dict_ema"]
        assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    alone = detect(init_detector(single, files[0], "cpu"), videos["short"])
    assert detect(detector, videos["short"], direction="for") == alone
    options = {"branches.for_model.load_from": str(files[0]), "branches.back_model.load_from": str(files[1])}
    same = init_detector(config, device="cpu", options=options)
    assert all(torch.equal(t, same.model.state_dict()[n]) for n, t in detector.model.state_dict().items())
    turned = write_weights(single, tmp_path / "turned.pth", classes=CLASSES[::-1])
    with pytest.raises(ValueError, match=r"0 is 'Dive' in .*1\.pth, but 'Jump' in .*turned\.pth"):
        init_detector(config, device="cpu", for_checkpoint=files[0], back_checkpoint=turned)
    whole = tmp_path / "whole.pth"
    torch.save({"state_dict": detector.model.state_dict(), "classes": CLASSES}, whole)
    again = init_detector(config, device="cpu", for_checkpoint=whole, back_checkpoint=files[1])
    assert all(torch.equal(t, again.model.state_dict()[n]) for n, t in detector.model.state_dict().items())
    for wrong, message in (
        ({"checkpoint": whole, **given}, "checkpoint fills the whole model"),
        ({"for_checkpoint": files[0]}, "no weights for branch 'back_model'; give checkpoint"),
        ({}, "no weights for branch 'for_model'; give checkpoint"),
    ):
        with pytest.raises(ValueError, match=message):
            init_detector(config, device="cpu", **wrong)
    with pytest.raises(ValueError, match="weights for for_model: the model has no such branch, only model"):
        init_detector(single, device="cpu", **given)
    with pytest.raises(ValueError, match="do not fit the network"):
        init_detector(single, whole, "cpu")


def test_features_and_other_pipelines_are_refused_with_the_cure(config, tmp_path):
    cfg = load_config(config)
    cfg.dataset.test.pipeline = [{"type": "LoadFeats", "feat_format": "npy"}, {"type": "Collect", "inputs": "feats"}]
    with pytest.raises(ValueError, match=r"takes features \(LoadFeats\).*opentad-bi extract-features"):
        init_detector(cfg, "none.pth")
    cfg.dataset.test.pipeline = cfg.dataset.train.pipeline
    with pytest.raises(ValueError, match=r"LoadFrames\(method='sliding_window'\).*RandomResizedCrop"):
        init_detector(cfg, "none.pth")
    del cfg.dataset.test
    with pytest.raises(KeyError, match="dataset has no split 'test'"):
        init_detector(cfg, "none.pth")


def test_a_dataset_without_windows_is_refused(config, tmp_path, videos):
    cfg = load_config(config)
    for key in ("window_size", "window_overlap_ratio"):
        del cfg.dataset.test[key]
    cfg.dataset.test.type = "ThumosPaddingDataset"
    detector = init_detector(cfg, write_weights(config, tmp_path / "a.pth"), "cpu")
    with pytest.raises(ValueError, match="ThumosPaddingDataset, which has no windows; did you mean 'ThumosSliding"):
        detect(detector, videos["short"])


def test_options_are_strict_and_go_with_a_path(config, tmp_path):
    path = write_weights(config, tmp_path / "a.pth")
    detector = init_detector(config, path, "cpu", options={"window_size": 48})
    assert detector.data["window_size"] == 48
    with pytest.raises(KeyError, match="did you mean 'window_size'"):
        init_detector(config, path, "cpu", options={"window_sise": 48})
    with pytest.raises(ValueError, match="options take effect while a config is read"):
        init_detector(load_config(config), path, "cpu", options={"window_size": 48})
    assert init_detector(load_config(config), path, "cpu").classes == CLASSES


@pytest.mark.parametrize(("amp", "enabled"), [("fp16", False), (True, False), ("bf16", True), (None, False)])
def test_precision_on_a_cpu(config, tmp_path, amp, enabled):
    detector = init_detector(config, write_weights(config, tmp_path / "a.pth"), "cpu", options={"solver.amp": amp})
    with detector.autocast():
        assert torch.is_autocast_enabled("cpu") == enabled
    with pytest.raises(ValueError, match=r"solver\.amp 'fp8' is not one of"):
        precision("fp8")


def test_missing_files_are_named(config, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config .*none\.py does not exist"):
        init_detector(tmp_path / "none.py")
    with pytest.raises(FileNotFoundError, match=r"checkpoint .*none\.pth does not exist"):
        init_detector(config, tmp_path / "none.pth", "cpu")


@pytest.mark.cuda
def test_on_a_gpu_in_fp16(tmp_path, videos):
    config = write_config(tmp_path, PAIR, "solver['amp'] = 'fp16'\n")
    path = write_weights(config, tmp_path / "a.pth")
    on_gpu, on_cpu = (detect(init_detector(config, path, device), videos["long"]) for device in (None, "cpu"))
    assert on_gpu[0]["score"] == pytest.approx(on_cpu[0]["score"], abs=5e-3)
    assert next(MODELS.build(load_config(config).model).parameters()).dtype == torch.float32


def test_a_network_that_scores_frames_is_told_where_it_belongs(tiny_json, tmp_path):
    path = write_anomaly_config(tmp_path, tiny_json)
    with pytest.raises(ValueError, match=r"dataset\.test is a FrameStreamDataset.*opentad-bi detect-anomaly"):
        init_detector(path, write_anomaly_weights(path, tmp_path / "a.pth"), "cpu")
