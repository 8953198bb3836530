"""The text tower of an open_clip model, fed with embeddings, so that learned vectors may stand among the tokens."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint as recomputed

# N texts, L positions, n vectors of a deep prompt, D width of the tower, E width of the joint space

PARTS = ("token_embedding", "positional_embedding", "transformer", "ln_final")
POOLINGS = ("eot", "mean")


class TextEncoder(nn.Module):
    """Embedded prompts to text features, with the mask and the positions that the tower was trained with.

    Works batch-first on both layouts of open_clip (>= 2.26): `CLIP`, which holds the parts of the tower itself, and
    `CustomTextCLIP`, which has them in `text`.

    Args:
        clip: the open_clip model; the text tower is shared, not copied.
        pooling: "eot": read out where the tower was trained to (the end-of-text token, for most); "mean": the mean over
            the positions from the first to the end-of-text token.
    Raises:
        ValueError: another pooling, or a tower without these parts (Hugging Face text towers, CoCa).
    """

    def __init__(self, clip, pooling="eot"):
        super().__init__()
        tower = getattr(clip, "text", clip)
        missing = [part for part in PARTS if getattr(tower, part, None) is None]
        if missing or getattr(tower, "cls_emb", None) is not None:
            reason = "appends a class token" if not missing else f"has no {', '.join(missing)}"
            raise ValueError(
                f"the text tower of {type(clip).__name__} {reason}, so prompts cannot be learned in it; take a CLIP or "
                "CustomTextCLIP model with open_clip's own text transformer"
            )
        if pooling not in POOLINGS:
            raise ValueError(f"text pooling {pooling!r} is not one of {', '.join(map(repr, POOLINGS))}")
        self.pooling = pooling
        self.pool_type = getattr(clip, "text_pool_type", None) or tower.pool_type
        self.eos_id = getattr(clip, "text_eos_id", None) or getattr(tower, "eos_id", None)
        for part in PARTS:
            setattr(self, part, getattr(tower, part))
        self.text_projection = tower.text_projection
        self.register_buffer("attn_mask", tower.attn_mask, persistent=False)
        self.context_length, self.width = self.positional_embedding.shape

    @property
    def causal(self):
        """Does a position see only those before it?"""
        return self.attn_mask is not None

    @property
    def embed_dim(self):
        """Width of the text features."""
        if self.text_projection is None:
            return self.width
        linear = isinstance(self.text_projection, nn.Linear)
        return self.text_projection.out_features if linear else self.text_projection.shape[1]

    def length(self, last):
        """Positions the tower must see if the last end-of-text token stands at position `last`.

        What comes after it changes nothing in a causal tower, which therefore runs on `last + 1` positions only; a
        tower without mask was trained on the padding too.
        """
        return last + 1 if self.causal and self.pool_type != "last" else self.context_length

    @property
    def layers(self):
        """Number of residual blocks."""
        return len(self.transformer.resblocks)

    def forward(self, embeddings, eot, deep=None, checkpoint=False):
        """Text features, not normalised.

        Args:
            embeddings: (N, L, D) float, L at most the context length; positions are added here.
            eot: (N,) int64, position of the end-of-text token of each text.
            deep: {layer: (n, D) for all texts or (N, n, D) for each}, deep prompts (MaPLe, Khattak et al., CVPR 2023):
                before that layer these vectors stand right after the start token, in the place of those of a layer
                before. They come without positions, and no word changes its own.
            checkpoint: forget what lies inside the blocks and compute it again for the gradient.
        Returns:
            (N, E)
        Raises:
            ValueError: a layer that the tower does not have.
        """
        length, deep = embeddings.shape[1], deep or {}
        if unknown := set(deep) - set(range(self.layers)):
            raise ValueError(f"deep prompts for layers {sorted(unknown)} of a text tower of {self.layers} layers")
        dtype = self.transformer.get_cast_dtype()
        x = embeddings.to(dtype) + self.positional_embedding[:length].to(dtype)
        mask, count = self._mask(length), 0
        for layer, block in enumerate(self.transformer.resblocks):
            if layer in deep:
                vectors = deep[layer].to(x.dtype).expand(len(x), -1, -1)
                x, count = torch.cat([x[:, :1], vectors, x[:, 1 + count :]], dim=1), vectors.shape[1]
                mask = self._mask(length + count)
            x = recomputed(block, x, None, None, mask, use_reentrant=False) if checkpoint else block(x, attn_mask=mask)
        x = self._pool(self.ln_final(x), eot + count)
        if self.text_projection is None:
            return x
        return self.text_projection(x) if isinstance(self.text_projection, nn.Linear) else x @ self.text_projection

    def encode_tokens(self, ids):
        """Features of plain texts: (N, L) int64 token ids, padded as the tokenizer does -> (N, E)."""
        eot = (ids == self.eos_id).int().argmax(1) if self.pool_type == "eos" else ids.argmax(1)
        return self(self.token_embedding(ids[:, : self.length(int(eot.max()))]), eot)

    def _mask(self, length):
        """Additive mask of that many positions, (length, length), or None."""
        if not self.causal or length <= len(self.attn_mask):
            return self.attn_mask[:length, :length] if self.causal else None
        return self.attn_mask.new_full((length, length), float("-inf")).triu_(1)  # deep prompts beyond the tower's own

    def _pool(self, x, eot):
        """(N, L, D), (N,) -> (N, D)"""
        if self.pooling == "mean":
            inside = (torch.arange(x.shape[1], device=x.device) <= eot[:, None]).unsqueeze(2)  # (N, L, 1)
            return (x * inside).sum(1) / inside.sum(1).to(x.dtype)
        if self.pool_type in ("first", "last"):
            return x[:, 0 if self.pool_type == "first" else -1]
        return x[torch.arange(len(x), device=x.device), eot]
