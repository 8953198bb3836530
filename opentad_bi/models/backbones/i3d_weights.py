"""Weights of I3D from the array file that the JAX port publishes."""

import re

import torch

from ...utils.weight_files import read_file

_ENTRIES = (
    (re.compile(r"^params/Logits/Conv3d_0c_1x1/Conv_0/kernel$"), "logits.weight"),
    (re.compile(r"^params/Logits/Conv3d_0c_1x1/Conv_0/bias$"), "logits.bias"),
    (re.compile(r"^params/(.+)/Conv_0/kernel$"), r"layers.\1.conv.weight"),
    (re.compile(r"^params/(.+)/BatchNorm_0/bias$"), r"layers.\1.bn.bias"),
    (re.compile(r"^batch_stats/(.+)/BatchNorm_0/mean$"), r"layers.\1.bn.running_mean"),
    (re.compile(r"^batch_stats/(.+)/BatchNorm_0/var$"), r"layers.\1.bn.running_var"),
)


def i3d_state_dict(path, classifier=False):
    """State dict of `I3D` from an .npz file with entries `params/<unit>/Conv_0/kernel` and the like.

    Args:
        path: the file.
        classifier: whether the weights of the Kinetics-400 classifier are wanted (`num_classes=400`).
    Raises:
        FileNotFoundError, ValueError: no such file, or a damaged one.
        KeyError: an entry of another layout.
    """
    state = convert_arrays(read_file(path)[0])
    return {key: value for key, value in state.items() if classifier or not key.startswith("logits.")}


def adapt_i3d_keys(state):
    """The entries of the array file, if `state` holds such, under this network's keys; else `state` as it is."""
    return convert_arrays(state) if any(name.startswith("params/") for name in state) else state


def convert_arrays(arrays):
    """{name in the array file: tensor} to a state dict of `I3D`, float32.

    Kernels there are (t, h, w, in, out); the batch norms have no scale, which is a scale of 1.
    """
    state = {}
    for name, value in arrays.items():
        key = _own_key(name)
        state[key] = _own_value(key, value.float())
    for key in [key for key in state if key.endswith(".bn.bias")]:
        state[key.replace(".bn.bias", ".bn.weight")] = torch.ones_like(state[key])
        state[key.replace(".bn.bias", ".bn.num_batches_tracked")] = torch.tensor(0)
    return state


def _own_key(name):
    for pattern, replacement in _ENTRIES:
        if pattern.match(name):
            return pattern.sub(replacement, name).replace("/", ".")
    raise KeyError(f"I3D weights: entry {name!r} is not of an I3D array file (params/<unit>/Conv_0/kernel, ...)")


def _own_value(key, value):
    if key == "logits.weight":
        return value.flatten(0, 3).t().contiguous()
    if key.endswith("conv.weight"):
        return value.permute(4, 3, 0, 1, 2).contiguous()
    return value.flatten()
