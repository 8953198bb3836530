"""The towers of a CLIP model, batch-first, and its tokens.

Towers that come with weights of their own and never train take no part in checkpoints.

Token ids of texts without special tokens and without padding, from any tokenizer of open_clip.

The text tower of an open_clip model, fed with embeddings, so that learned vectors may stand among the tokens.

The visual tower of an open_clip model in steps, so that more tokens may be put between them.
"""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint as recomputed


def leave_out_of_state(module, child):
    """Keep the sub-module `child` of `module` out of its state dict, and a strict load from missing it.

    A checkpoint of a few learned vectors is a few kilobytes then, instead of the size of the tower.
    """
    inner = f"{child}."

    def saved(_, state, prefix, __):
        for name in [name for name in state if name.startswith(prefix + inner)]:
            del state[name]

    def loaded(_, keys):
        keys.missing_keys[:] = [name for name in keys.missing_keys if f".{inner}" not in f".{name}"]

    module.register_state_dict_post_hook(saved)
    module.register_load_state_dict_post_hook(loaded)


PROBE = "a photo"


class Tokens:
    """What prompts are put together from: ids of a text, and the ids around them.

    Args:
        tokenizer: open_clip's `SimpleTokenizer`, or one of its wrappers around a Hugging Face tokenizer.
    Attributes:
        start, end: lists of ids that stand before and after every text; `start` may be empty.
        pad: id of the padding.
    Raises:
        ValueError: a tokenizer of another kind.
    """

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        if hasattr(tokenizer, "encode") and hasattr(tokenizer, "sot_token_id"):
            self.start, self.end, self.pad = [tokenizer.sot_token_id], [tokenizer.eot_token_id], 0
        elif hasattr(tokenizer, "tokenizer"):
            self._wrapped = tokenizer.tokenizer
            whole, bare = list(self._wrapped(PROBE)["input_ids"]), self._bare(PROBE)
            at = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
            self.start, self.end, self.pad = whole[:at], whole[at + len(bare) :], self._wrapped.pad_token_id
        else:
            raise ValueError(f"a tokenizer of open_clip is expected, not a {type(tokenizer).__name__}")

    def encode(self, text):
        """Ids of `text` alone, however many they are."""
        if hasattr(self, "_wrapped"):
            clean = getattr(self._tokenizer, "clean_fn", None)
            return self._bare(clean(text) if clean else text)
        return list(self._tokenizer.encode(text))

    def decode(self, token):
        """The piece of text that one id stands for; a special token by its name."""
        if hasattr(self, "_wrapped"):
            return self._wrapped.convert_ids_to_tokens(int(token))
        piece = self._tokenizer.decoder.get(int(token), f"<{int(token)}>")
        return piece.replace("</w>", "") or piece

    def text(self, ids):
        """Text of a list of ids."""
        decode = self._wrapped.decode if hasattr(self, "_wrapped") else self._tokenizer.decode
        return decode(list(ids)).strip()

    def _bare(self, text):
        return list(self._wrapped(text, add_special_tokens=False)["input_ids"])


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


# N images, M videos, T frames, S side in pixels, L tokens, P more tokens, D width of the tower, E width of the joint
# space


class ImageEncoder(nn.Module):
    """Images to features, as `encode_image` of the model gives them.

    A `VisionTransformer` runs in three steps: `embed`, `blocks`, `readout`. Other towers (ResNets, timm's) run whole.

    Args:
        clip: the open_clip model; its visual tower is shared, not copied.
    Attributes:
        promptable: can more tokens be put between the steps?
        width, layers, patch: D, number of blocks and side of a patch in pixels; None where it is not.
    """

    def __init__(self, clip):
        super().__init__()
        from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

        self.visual = clip.visual
        plain = isinstance(self.visual, VisionTransformer) and self.visual.attn_pool is None
        self.stepwise = plain and self.visual.pool_type in ("tok", "avg")
        blocks = self.visual.transformer.resblocks if self.stepwise else []
        self.promptable = self.stepwise and all(type(block) is ResidualAttentionBlock for block in blocks)
        self.width = self.layers = self.patch = None
        if self.promptable:
            self.width, self.layers, self.patch = self.visual.transformer.width, len(blocks), self.visual.patch_size[0]

    def forward(self, images):
        """(N, 3, S, S) float32, normalised -> (N, E), not normalised"""
        if not self.stepwise:
            return self.visual(images)
        return self.readout(self.blocks(self.visual.ln_pre(self.embed(images))))

    def embed(self, images):
        """Class token and patches with their positions, before the first norm: (N, 3, S, S) -> (N, L, D)"""
        patches = self.visual.conv1(images).flatten(2).transpose(1, 2)
        first = self.visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        x = torch.cat([first, patches], dim=1) + self.visual.positional_embedding.to(patches.dtype)
        return self.visual.patch_dropout(x)

    def blocks(self, x):
        """All residual blocks: (N, L, D) -> (N, L, D)"""
        return self.visual.transformer(x)

    def readout(self, x):
        """Class token (or mean of the patches), norm and projection: (N, L, D) -> (N, E)"""
        late = self.visual.final_ln_after_pool
        x = x if late else self.visual.ln_post(x)
        x = x[:, 0] if self.visual.pool_type == "tok" else x[:, 1:].mean(1)
        x = self.visual.ln_post(x) if late else x
        return x if self.visual.proj is None else x @ self.visual.proj

    def prompted(self, frames, parts, checkpoint=False):
        """Features of frames that see more tokens than their own.

        Args:
            frames: (M, T, 3, S, S) float32, normalised.
            parts: list of `VisualPrompt`.
            checkpoint: forget what lies inside the blocks and compute it again for the gradient.
        Returns:
            features (M, T, E), not normalised, and what the parts say of the frames: a list over layers of (M, T, D) or
            None.
        Raises:
            ValueError: a tower in which nothing can be put between the steps.
        """
        if not self.promptable:
            raise ValueError(
                f"visual prompts need a VisionTransformer of open_clip with plain blocks and a class token or a mean "
                f"as its output, not this {type(self.visual).__name__}; take a model such as ViT-B-16, or no visual "
                "prompt"
            )
        shape = frames.shape[:2]
        x = self.embed(frames.flatten(0, 1)).unflatten(0, shape)
        own, summaries = x.shape[2], []
        for part in parts:
            x = part.enter(x)
        x = self.visual.ln_pre(x)
        more = [self.visual.ln_pre(tokens) for part in parts if (tokens := part.shallow()) is not None]
        for layer, block in enumerate(self.visual.transformer.resblocks):
            said = [part.beside(layer, x) for part in parts]
            more += [tokens for tokens, _ in said if tokens is not None]
            summaries.append(next((summary for _, summary in said if summary is not None), None))
            step = (block, x, *more)
            x, more = recomputed(_attend, *step, use_reentrant=False) if checkpoint else _attend(*step), []
        return self.readout(x[:, :, :own].flatten(0, 1)).unflatten(0, shape), summaries


def _attend(block, x, *more):
    """A residual block whose attention sees more keys and values: (M, T, L, D), (P, D) or (M, T, P, D) each -> x.

    The same as to append the tokens, run the block and drop them: they change nothing but what others read from them.
    """
    shape, x = x.shape[:2], x.flatten(0, 1)
    queries = block.ln_1(x)
    keys = [block.ln_1(tokens).to(queries.dtype).expand(*shape, -1, -1).flatten(0, 1) for tokens in more]
    keys = torch.cat([queries, *keys], dim=1) if more else queries
    x = x + block.ls_1(block.attention(queries, keys, keys))
    return (x + block.ls_2(block.mlp(block.ln_2(x)))).unflatten(0, shape)
