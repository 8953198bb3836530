"""Captions longer than a text tower was trained for, by stretched positions (Long-CLIP, Zhang et al., ECCV 2024)."""

import torch
from torch import nn
from torch.func import functional_call

from ..clip.text import TextEncoder

# N texts, L positions of the tower, D its width, E width of the joint space

KEPT, FACTOR = 20, 4


def stretch_positions(table, kept=KEPT, factor=FACTOR):
    """A longer table of positions: the first rows as they are, the others spread by linear interpolation.

    Row kept + factor * i + k is (1 - k / factor) of row kept + i and k / factor of the next; after the last row the
    line through the last two goes on.

    Args:
        table: (L, D).
    Returns:
        (kept + factor * (L - kept), D); 248 rows for 77.
    """
    rows = table[kept:]
    steps = torch.cat([rows[1:] - rows[:-1], rows[-1:] - rows[-2:-1]])
    parts = torch.arange(factor, device=table.device, dtype=table.dtype) / factor
    spread = rows[:, None] + parts[:, None] * steps[:, None]  # (L - kept, factor, D)
    return torch.cat([table[:kept], spread.flatten(0, 1)])


class CaptionEncoder(TextEncoder):
    """The text tower for captions of videos, which may be long, and for short texts, whose positions stay as they are.

    Args:
        clip: a `CLIPModel`; the text tower is shared, not copied.
        context_length: tokens of a caption: what the tower was trained for (77), or its stretched length (248).
        checkpoint: forget what lies inside the blocks and compute it again for the gradient.
    Raises:
        ValueError: another length, or a tower that takes no embeddings (see `TextEncoder`).
    """

    def __init__(self, clip, context_length=None, checkpoint=False):
        super().__init__(clip.module)
        self.checkpoint, self.tokenizer, self.short = checkpoint, clip.tokenizer, self.context_length
        self.long = self.short if context_length is None else context_length
        stretched = KEPT + FACTOR * (self.short - KEPT)
        if self.long not in (self.short, stretched):
            raise ValueError(f"context_length {context_length!r} is neither {self.short} nor {stretched}")
        with torch.no_grad():
            longer = self.long > self.short
            self.long_positions = nn.Parameter(stretch_positions(self.positional_embedding)) if longer else None

    def encode(self, texts, long=False):
        """Features of texts, each different one computed once: list of N texts -> (N, E), not normalised

        Args:
            long: are they captions, whose positions may be the stretched ones? What is beyond the length is cut off.
        """
        if not texts:
            return self.positional_embedding[:0, :1].expand(0, self.embed_dim)  # no rows, but a gradient to nothing
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        features = self.encode_ids(self.tokenizer(list(places), context_length=self.long if long else self.short))
        return features[torch.tensor([places[text] for text in texts], device=features.device)]

    def encode_ids(self, ids):
        """Features of token ids (n, length), padded as the tokenizer does -> (n, E), not normalised"""
        eot = (ids == self.eos_id).int().argmax(1) if self.pool_type == "eos" else ids.argmax(1)
        stretched = ids.shape[1] > self.short
        whole = not self.causal or self.pool_type == "last"  # else what follows the last end of text changes nothing
        used = ids.shape[1] if whole else int(eot.max()) + 1
        device = self.positional_embedding.device
        embeddings = self.token_embedding(ids[:, :used].to(device))
        table = {"positional_embedding": self.long_positions} if stretched else {}
        return functional_call(self, table, (embeddings, eot.to(device)), {"checkpoint": self.checkpoint})
