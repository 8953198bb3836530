"""Prompts put together: which position holds a fixed token, and which a learned vector."""

from dataclasses import dataclass

import torch

# K classes, L positions


@dataclass(frozen=True)
class Learned:
    """A row of the table of learned vectors, standing at one position of a prompt."""

    row: int


@dataclass(frozen=True)
class Layout:
    """Prompts of all classes as arrays.

    Args:
        token_ids: (K, L) int64, padding where nothing stands and where a learned vector does.
        source: (K, L) int64, row of the table of learned vectors, or -1 where a token stands.
        eot_index: (K,) int64, position of the end-of-text token.
    """

    token_ids: torch.Tensor
    source: torch.Tensor
    eot_index: torch.Tensor


def arrange(rows, parts, position):
    """One prompt in order, without its special tokens: list of ids and `Learned`.

    The three positions have the same length, so the end-of-text token stands at the same place.

    Args:
        rows: rows of the learned vectors of this prompt.
        parts: its `Parts`.
        position: where the name stands. "end": context, name, stop; "middle": half of the context, name, the other
            half, stop; "front": name, context, stop.
    """
    context, half = [Learned(row) for row in rows], len(rows) // 2
    orders = {
        "end": [*context, *parts.name],
        "middle": [*context[:half], *parts.name, *context[half:]],
        "front": [*parts.name, *context],
    }
    if position not in orders:
        raise ValueError(f"class_token_position {position!r} is not one of {', '.join(map(repr, orders))}")
    return [*parts.prefix, *orders[position], *parts.stop]


def lay_out(prompts, tokens, length):
    """Arrays of prompts.

    Args:
        prompts: K lists of token ids and `Learned`.
        tokens: a `Tokens`, for what stands around them.
        length: L, the context length of the tower.
    """
    token_ids = torch.full((len(prompts), length), tokens.pad, dtype=torch.int64)
    source = torch.full((len(prompts), length), -1, dtype=torch.int64)
    ends = []
    for k, prompt in enumerate(prompts):
        whole = [*tokens.start, *prompt, *tokens.end]
        ends.append(len(whole) - 1)
        for position, item in enumerate(whole):
            if isinstance(item, Learned):
                source[k, position] = item.row
            else:
                token_ids[k, position] = item
    return Layout(token_ids, source, torch.tensor(ends))
