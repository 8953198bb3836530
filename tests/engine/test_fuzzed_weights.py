"""Files of weights that were changed at random, as bytes and as structure: they load, or one error names the file."""

import io
import math
import random
from collections import OrderedDict

import pytest
import tiny_detector as tiny
import torch
from places import SHARED
from torch import nn

from opentad_bi.engine.warm_start import continue_from, fill
from opentad_bi.registry import MODELS

ROUNDS = 150


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MODELS.build(tiny.detector("features"))


def saved(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def attempt(network, path):
    """Load a file in both ways; the errors that are not as they should be."""
    wrong = []
    for load in (lambda: fill(network, path, part="model"), lambda: continue_from("model", network, path)):
        try:
            load()
        except (ValueError, FileNotFoundError) as error:
            if str(path) not in str(error):
                wrong.append(repr(error))
        except Exception as error:
            wrong.append(repr(error))
    return wrong


def change_bytes(content, draw):
    """Flip, cut, repeat, overwrite or move some bytes."""
    data, place = bytearray(content), draw.randrange(len(content))
    end = place + draw.choice([1, 4, 40, 4000])
    kind = draw.randrange(5)
    if kind == 0:
        data[place] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del data[place:end]
    elif kind == 2:
        data[place:place] = data[place:end]
    elif kind == 3:
        data[place:end] = draw.randbytes(len(data[place:end]))
    else:
        data = data[:place] if draw.random() < 0.5 else draw.randbytes(place % 600)
    return bytes(data)


def odd_values(tensor, draw):
    """What may stand where a tensor should."""
    base = tensor.detach().double()
    return draw.choice(
        [
            None, 3, -1.5, "text", b"bytes", [], [tensor], (tensor, tensor), {}, {"a": tensor}, {0: 1}, True, math.nan,
            base, base * 1e300, base * math.nan, base * 1j, base.bool(), base.to(torch.int8), base.half(),
            tensor.to("meta"), tensor.flatten(), tensor[None], torch.empty(0), torch.tensor(1.0), torch.ones(2, 0),
            base.float().to_sparse(), torch.quantize_per_tensor(base.float(), 0.1, 0, torch.qint8),
            tensor.new_ones(()).expand(tensor.shape), torch.nn.Parameter(base.float()), torch.Size([2]), torch.float32,
        ]
    )  # fmt: skip


def change_structure(state, draw):
    """Change some entries, then what is around them."""
    names = list(state)
    for name in draw.sample(names, draw.choice([1, 1, 2, 5])):
        kind = draw.randrange(5)
        value = state.pop(name)
        if kind == 0:
            continue
        key = draw.choice(["", "x", "module.", f"module.{name}", name[::-1], 3, None, (1, 2), "params/x", name * 9])
        state[name if kind < 4 else key] = value if kind == 1 else odd_values(value, draw)
    around = draw.choice(
        [
            "state_dict",
            "state_dict",
            "state_dict_ema",
            "model",
            "module",
            "model_state_dict",
            None,
            "list",
            "deep",
            "odd",
        ]
    )
    more = draw.choice([{}, {"epoch": "3"}, {"classes": 3}, {"branches": []}, {"epoch": torch.ones(2)}, {1: 2}])
    if around is None:
        return {**state, **more}
    if around == "list":
        return [state]
    if around == "deep":
        return {"model": {"state_dict": {f"model.{name}": value for name, value in state.items()}}}
    return {around: draw.choice([[], None, "x", [state]]) if around == "odd" else OrderedDict(state), **more}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("legacy", [False, True])
def test_changed_bytes(tmp_path, legacy):
    draw, path, network = random.Random(legacy), tmp_path / "w.pth", nn.Linear(6, 4)
    content = saved({"state_dict": network.state_dict()}, _use_new_zipfile_serialization=not legacy)
    for _ in range(ROUNDS):
        path.write_bytes(change_bytes(content, draw))
        assert not attempt(network, path)


@pytest.mark.filterwarnings("ignore")
def test_changed_structure(network, tmp_path):
    draw, path, whole = random.Random(5), tmp_path / "w.pth", network.state_dict()
    for _ in range(ROUNDS // 5):
        path.write_bytes(saved(change_structure(dict(whole), draw)))
        assert not attempt(network, path)


def test_the_files_of_users_are_named(network):
    paths = sorted((SHARED / "cases" / "files").glob("checkpoint.*"))
    if not paths:
        pytest.skip(f"no files at {SHARED / 'cases' / 'files'}; set OPENTAD_SHARED to the folder above cases/")
    for path in paths:
        for load in (
            lambda spec: fill(network, spec, part="model"),
            lambda spec: continue_from("model", network, spec),
        ):
            with pytest.raises(ValueError, match=path.name):
                load(path)
