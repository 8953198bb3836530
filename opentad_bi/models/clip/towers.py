"""The towers of a CLIP model, batch-first, over open_clip (>= 3.3), and the tokens of its texts.

The text tower takes embeddings, so that learned vectors may stand among the tokens; the visual tower runs in steps, so
that more tokens may be put between them.

N texts or images, M videos, T frames, S side in pixels, L tokens, P more tokens, n vectors of a deep prompt
D width of the tower, E width of the joint space
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from ...utils.validation import check_choice

if TYPE_CHECKING:
    from ..prompts.visual_prompts import VisualPrompt

PARTS = ("token_embedding", "positional_embedding", "transformer", "ln_final")
POOLINGS = ("eot", "mean")
PROBE = "a photo"
LARGEST_SCALE = math.log(100)  # the cap of CLIP for a factor of the cosines that trains, as its logarithm


class TextEncoder(nn.Module):
    """Embedded prompts to text features, with the mask and the positions that the tower was trained with.

    Works on both layouts of open_clip: `CLIP`, which holds the parts of the tower itself, and `CustomTextCLIP`, which
    has them in `text`.

    Args:
        clip: the open_clip model; the text tower is shared, not copied.
        pooling: "eot": read out where the tower was trained to (the end-of-text token, for most); "mean": the mean over
            the positions from the first to the end-of-text token.
    Raises:
        ValueError: another pooling, or a tower without these parts (Hugging Face text towers, CoCa).
    """

    token_embedding: nn.Embedding
    positional_embedding: nn.Parameter
    attn_mask: Tensor | None

    def __init__(self, clip: nn.Module, pooling: str = "eot") -> None:
        super().__init__()
        tower: Any = dict(clip.named_children()).get("text", clip)
        parts = dict(tower.named_parameters(recurse=False)) | dict(tower.named_children())
        missing = [part for part in PARTS if part not in parts]
        if missing or "cls_emb" in parts:
            reason = "appends a class token" if not missing else f"has no {', '.join(missing)}"
            raise ValueError(
                f"the text tower of {type(clip).__name__} {reason}, so prompts cannot be learned in it; take a CLIP or "
                "CustomTextCLIP model with open_clip's own text transformer"
            )
        self.pooling = check_choice("text pooling", pooling, POOLINGS)
        own = tower is clip
        self.pool_type: str = tower.text_pool_type if own else tower.pool_type
        self.eos_id: int = tower.text_eos_id if own else tower.eos_id
        self.token_embedding, self.positional_embedding = tower.token_embedding, tower.positional_embedding
        self.transformer, self.ln_final = tower.transformer, tower.ln_final
        self.text_projection = tower.text_projection
        self.register_buffer("attn_mask", tower.attn_mask, persistent=False)
        self.context_length, self.width = self.positional_embedding.shape

    @property
    def causal(self) -> bool:
        """Does a position see only those before it?"""
        return self.attn_mask is not None

    @property
    def embed_dim(self) -> int:
        """Width of the text features."""
        if self.text_projection is None:
            return self.width
        linear = isinstance(self.text_projection, nn.Linear)
        return self.text_projection.out_features if linear else self.text_projection.shape[1]

    def length(self, last: int) -> int:
        """Positions the tower must see if the last end-of-text token stands at position `last`.

        What comes after it changes nothing in a causal tower, which therefore runs on `last + 1` positions only; a
        tower without mask was trained on the padding too.
        """
        return last + 1 if self._ends else self.context_length

    @property
    def layers(self) -> int:
        """Number of residual blocks."""
        return len(self.transformer.resblocks)

    def forward(
        self,
        embeddings: Tensor,
        eot: Tensor,
        deep: dict[int, Tensor] | None = None,
        checkpoint: bool = False,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Text features, not normalised.  Returns (N, E).

        Args:
            embeddings: (N, L, D) float, L at most the context length; positions are added here.
            eot: (N,) int64, position of the end-of-text token of each text.
            deep: {layer: (n, D) for all texts or (N, n, D) for each}, deep prompts (MaPLe, Khattak et al., CVPR 2023):
                before that layer these vectors stand right after the start token, in the place of those of a layer
                before. They come without positions, and no word changes its own.
            checkpoint: forget what lies inside the blocks and compute it again for the gradient.
            positions: (>= L, D) table of positions in the place of the tower's own.
        Raises:
            ValueError: a layer that the tower does not have.
        """
        length, deep = embeddings.shape[1], deep or {}
        if unknown := set(deep) - set(range(self.layers)):
            raise ValueError(f"deep prompts for layers {sorted(unknown)} of a text tower of {self.layers} layers")
        dtype = self.transformer.get_cast_dtype()
        table = self.positional_embedding if positions is None else positions
        x = embeddings.to(dtype) + table[:length].to(dtype)
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

    def encode_tokens(self, ids: Tensor, checkpoint: bool = False, positions: Tensor | None = None) -> Tensor:
        """Features of plain texts: (N, L) int64 token ids, padded as the tokenizer does -> (N, E), not normalised."""
        eot = ids.eq(self.eos_id).int().argmax(1) if self.pool_type == "eos" else ids.argmax(1)
        used = int(eot.max()) + 1 if self._ends else ids.shape[1]
        device = self.positional_embedding.device
        embeddings = self.token_embedding(ids[:, :used].to(device))
        return self(embeddings, eot.to(device), checkpoint=checkpoint, positions=positions)

    @property
    def _ends(self):
        """Does what follows the last end of text change nothing?"""
        return self.causal and self.pool_type != "last"

    def _mask(self, length):
        """Additive mask of that many positions, (length, length), or None."""
        if self.attn_mask is None or length <= len(self.attn_mask):
            return None if self.attn_mask is None else self.attn_mask[:length, :length]
        return self.attn_mask.new_full((length, length), float("-inf")).triu_(1)  # deep prompts beyond the tower's own

    def _pool(self, x, eot):
        """(N, L, D), (N,) -> (N, D)"""
        if self.pooling == "mean":
            inside = (torch.arange(x.shape[1], device=x.device) <= eot[:, None]).unsqueeze(2)  # (N, L, 1)
            return (x * inside).sum(1) / inside.sum(1).to(x.dtype)
        if self.pool_type in ("first", "last"):
            return x[:, 0 if self.pool_type == "first" else -1]
        return x[torch.arange(len(x), device=x.device), eot]


class ImageEncoder(nn.Module):
    """Images to features, as `encode_image` of the model gives them.

    A `VisionTransformer` runs in three steps: `embed`, `blocks`, `readout`. Other towers (ResNets, timm's) run whole.

    Args:
        clip: the open_clip model; its visual tower is shared, not copied.
    Attributes:
        promptable: can more tokens be put between the steps?
        width, layers, patch: D, number of blocks and side of a patch in pixels; None where it is not.
    """

    visual: Any
    width: int | None
    layers: int | None
    patch: int | None

    def __init__(self, clip: nn.Module) -> None:
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

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) float32, normalised -> (N, E), not normalised"""
        if not self.stepwise:
            return self.visual(images)
        return self.readout(self.blocks(self.visual.ln_pre(self.embed(images))))

    def embed(self, images: Tensor) -> Tensor:
        """Class token and patches with their positions, before the first norm: (N, 3, S, S) -> (N, L, D)"""
        patches = self.visual.conv1(images).flatten(2).transpose(1, 2)
        first = self.visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        x = torch.cat([first, patches], dim=1) + self.visual.positional_embedding.to(patches.dtype)
        return self.visual.patch_dropout(x)

    def blocks(self, x: Tensor) -> Tensor:
        """All residual blocks: (N, L, D) -> (N, L, D)"""
        return self.visual.transformer(x)

    def readout(self, x: Tensor) -> Tensor:
        """Class token (or mean of the patches), norm and projection: (N, L, D) -> (N, E)"""
        late = self.visual.final_ln_after_pool
        x = x if late else self.visual.ln_post(x)
        x = x[:, 0] if self.visual.pool_type == "tok" else x[:, 1:].mean(1)
        x = self.visual.ln_post(x) if late else x
        return x if self.visual.proj is None else x @ self.visual.proj

    def prompted(
        self, frames: Tensor, parts: Sequence["VisualPrompt"], checkpoint: bool = False
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Features of frames that see more tokens than their own.

        Args:
            frames: (M, T, 3, S, S) float32, normalised.
            checkpoint: forget what lies inside the blocks and compute it again for the gradient.
        Returns:
            features (M, T, E), not normalised, and the parts' summaries of the frames: a list over layers of (M, T, D)
            or None.
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
            found = [part.beside(layer, x) for part in parts]
            more += [tokens for tokens, _ in found if tokens is not None]
            summaries.append(next((summary for _, summary in found if summary is not None), None))
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

    def __init__(self, tokenizer: Any) -> None:
        from open_clip import SimpleTokenizer

        self._tokenizer, self._wrapped = tokenizer, None
        if isinstance(tokenizer, SimpleTokenizer):
            self.start, self.end, self.pad = [tokenizer.sot_token_id], [tokenizer.eot_token_id], 0
            return
        try:
            self._wrapped = tokenizer.tokenizer
        except AttributeError as error:
            raise ValueError(f"a tokenizer of open_clip is expected, not a {type(tokenizer).__name__}") from error
        whole, bare = list(self._wrapped(PROBE)["input_ids"]), self._bare(PROBE)
        at = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
        self.start, self.end, self.pad = whole[:at], whole[at + len(bare) :], self._wrapped.pad_token_id

    def encode(self, text: str) -> list[int]:
        """Ids of `text` alone, however many they are."""
        if self._wrapped is None:
            return list(self._tokenizer.encode(text))
        clean = getattr(self._tokenizer, "clean_fn", str)  # some of open_clip's wrappers clean texts first
        return self._bare(clean(text))

    def decode(self, token: int) -> str:
        """The piece of text that one id stands for; a special token by its name."""
        if self._wrapped is not None:
            return self._wrapped.convert_ids_to_tokens(int(token))
        piece = self._tokenizer.decoder.get(int(token), f"<{int(token)}>")
        return piece.replace("</w>", "") or piece

    def text(self, ids: Iterable[int]) -> str:
        """Text of ids."""
        return (self._wrapped or self._tokenizer).decode(list(ids)).strip()

    def _bare(self, text):
        return list(self._wrapped(text, add_special_tokens=False)["input_ids"])
