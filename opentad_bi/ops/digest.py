"""A short name for the weights of a network, by which files say what made them."""

import hashlib

import torch


def weights_digest(state):
    """SHA-256 of the names and values of a state dict, as hexadecimal text.

    Args:
        state: {name: tensor}; the order does not count.
    """
    total = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()
