"""Learned context vectors in the texts of the classes: shared or of every class (CoOp, Zhou et al., IJCV 2022), or such
that follow the video (CoCoOp, Zhou et al., CVPR 2022); and the words that they are closest to.

M videos, K classes, R learned vectors, V tokens of the vocabulary, L positions
D width of the text tower, E width of the joint space
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ...registry import PROMPTS
from ..clip.towers import TextEncoder, Tokens
from .class_prompts import RANDOM, TextPrompt, arrange, class_parts, lay_out


@PROMPTS.register_module()
class PromptLearner(TextPrompt):
    """Prompts `start context name . end` of every class, the context learned.

    The learned vectors lie one below the other in `ctx` (R, D): contexts of different lengths need no padding, so every
    row belongs to a prompt. `source` has which row stands where.

    Args:
        classes: names by label; '_' is read as a space.
        tower: the `TextEncoder` the prompts are for.
        tokens: its `Tokens`.
        ctx_mode: "random": vectors from N(0, init_std). "shared_init": the tokens of the sentence `ctx_init`, for all
            classes. "class_init": those of the class's own sentence in `class_prompts`; at the start the prompt is the
            text "<sentence> <name>." itself. "class_prefix": that sentence stands in front and stays fixed, the context
            between it and the name is random.
        n_ctx: vectors of a random context (16); where a sentence is the start, its tokens are counted instead.
        ctx_init: the sentence of "shared_init".
        class_prompts: sentences for the other two, see `class_sentences`.
        csc: a context of its own for every class, where one would be shared.
        class_token_position: "end", "middle" or "front": where the name stands, see `arrange`.
        on_overflow: "error" for a prompt longer than the tower takes, or "truncate_ctx", which cuts the sentence.
        init_std: of random vectors.
    Raises:
        ValueError, KeyError: naming the argument, class or sentence; a prompt that is too long; two classes whose
            prompts are the same.
    """

    token_ids: Tensor
    source: Tensor
    eot_index: Tensor
    layout_digest: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        tower: TextEncoder,
        tokens: Tokens,
        *,
        ctx_mode: str = "random",
        n_ctx: int | None = None,
        ctx_init: str | None = None,
        class_prompts: Mapping[str, str] | str | Path | None = None,
        csc: bool = False,
        class_token_position: str = "end",
        on_overflow: str = "error",
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        self.classes, self.ctx_mode = list(classes), ctx_mode
        self.class_specific = csc or ctx_mode == "class_init"
        parts = class_parts(
            self.classes,
            tokens,
            tower.context_length,
            ctx_mode=ctx_mode,
            n_ctx=n_ctx,
            ctx_init=ctx_init,
            class_prompts=class_prompts,
            on_overflow=on_overflow,
        )
        own = parts if self.class_specific else parts[:1]
        initial = [token for part in own for token in part.context]  # of every row
        rows: list[range] = []
        first = 0
        for part in parts:
            rows.append(range(first, first + len(part.context)))
            first += len(part.context) if self.class_specific else 0
        prompts = [arrange(mine, part, class_token_position) for mine, part in zip(rows, parts, strict=True)]
        layout = lay_out(prompts, tokens, tower.context_length)
        self.register_buffer("token_ids", layout.token_ids, persistent=False)
        self.register_buffer("source", layout.source, persistent=False)
        self.register_buffer("eot_index", layout.eot_index, persistent=False)
        self.length = tower.length(int(layout.eot_index.max()))
        self.rows = tuple(rows)
        self.register_buffer("layout_digest", self._digest(class_token_position, tower.pooling, parts))
        self.texts = [_text(part, tokens) for part in parts]
        self.ctx = nn.Parameter(_vectors(initial, tower.token_embedding.weight, init_std))
        self._refuse_duplicates(initial)

    def forward(self, embedding: nn.Embedding) -> tuple[Tensor, Tensor]:
        """Prompts of all classes, as far as the tower must see them.

        Args:
            embedding: the token embedding of the tower.
        Returns:
            embeddings (K, L, D) float32, without positions, and the place of the end-of-text token (K,) int64.
        """
        ids, source = self.token_ids[:, : self.length], self.source[:, : self.length]
        vectors = self.ctx[source.clamp(min=0)]
        return torch.where((source >= 0).unsqueeze(2), vectors, embedding(ids).to(vectors.dtype)), self.eot_index

    @torch.no_grad()
    def describe(self, embedding: nn.Embedding, tokens: Tokens, count: int = 1) -> dict[str, dict]:
        """The prompts as plain data for readers: every vector, and the tokens it lies closest to.

        Returns:
            {class: {"prompt" (text that learning started from, X for a random vector), "context_shape" [n, D],
            "nearest_tokens" [[{"token", "distance"}, ...] per vector], "context_vector" [n lists of D numbers]}}
        """
        ids, distances = (found.tolist() for found in nearest_tokens(self.ctx, embedding.weight, count))
        near = [
            [{"token": tokens.decode(token), "distance": round(far, 6)} for token, far in zip(*row, strict=True)]
            for row in zip(ids, distances, strict=True)
        ]
        vectors = self.ctx.detach().float().cpu()
        return {
            name: {
                "prompt": text,
                "context_shape": [len(rows), vectors.shape[1]],
                "nearest_tokens": [near[row] for row in rows],
                "context_vector": [vectors[row].tolist() for row in rows],
            }
            for name, text, rows in zip(self.classes, self.texts, self.rows, strict=True)
        }

    def adapt_state_dict(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring the contexts of CoOp to the form used here: (K, n_ctx, D) to (R, D); its token buffers are dropped.

        Raises:
            ValueError: contexts of other classes, or learned at other places among the tokens.
        """
        state = {name: tensor for name, tensor in state.items() if not name.startswith("token_")}
        ctx = state.get("ctx")
        if ctx is None:
            return state
        shape = tuple(ctx.shape[:-1])
        even = (len(self.classes), *{len(rows) for rows in self.rows})  # (K, n_ctx) if all contexts have one length
        fits = shape == (len(self.ctx),) or (self.class_specific and shape == even)
        if not fits and (self.class_specific or len(shape) == 2):
            count = " x ".join(map(str, shape))
            reason = (
                "contexts that belong to classes cannot be used for other classes or sentences"
                if self.class_specific
                else "they belong to classes each; give csc=True"
            )
            raise ValueError(
                f"the weights hold {count} context vectors, but these {len(self.classes)} classes have "
                f"{len(self.ctx)}: {reason}"
            )
        given = state.get("layout_digest")
        if given is not None and len(ctx) == len(self.ctx) and not torch.equal(given.cpu(), self.layout_digest.cpu()):
            raise ValueError(
                "the context vectors were learned in other prompts: class_token_position, text_pooling, fixed "
                "sentences or the lengths of the sentences differ; give what they were learned with"
            )
        return state | {"ctx": ctx.reshape(-1, ctx.shape[-1]), "layout_digest": self.layout_digest}

    def _digest(self, position, pooling, parts):
        """SHA-256 of what the meaning of the vectors depends on: uint8 (32,)."""
        lengths = [len(rows) for rows in self.rows] if self.class_specific else "shared"
        # vectors that classes share serve other classes, whose fixed sentences are their own
        fixed = [part.prefix for part in parts] if self.class_specific else bool(parts[0].prefix)
        text = f"{position} {pooling} {fixed} {lengths}"
        return torch.tensor(list(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8)

    def _refuse_duplicates(self, initial):
        """ValueError if two classes start from the same row of tokens, so that they cannot be distinguished."""
        starts = torch.tensor([-1 if token is RANDOM else token for token in initial])
        rows = torch.where(self.source >= 0, starts[self.source.clamp(min=0)], self.token_ids)
        seen: dict[tuple, str] = {}
        for name, row in zip(self.classes, rows.tolist(), strict=True):
            first = seen.setdefault(tuple(row), name)
            if first != name:
                raise ValueError(
                    f"classes {first!r} and {name!r} have the same prompt, token by token, so they cannot be "
                    "distinguished; give them other names or sentences"
                )


@PROMPTS.register_module()
class ConditionalPromptLearner(PromptLearner):
    """Prompts of all classes for every video: a small network turns its feature into a shift of all context vectors.

    Args:
        classes, tower, tokens, ctx_mode, n_ctx, ctx_init, class_prompts, csc, class_token_position, on_overflow,
            init_std: as `PromptLearner` has them.
        reduction: the hidden layer has E / reduction units, at least one.
    """

    conditional = True

    def __init__(
        self,
        classes: Sequence[str],
        tower: TextEncoder,
        tokens: Tokens,
        *,
        ctx_mode: str = "random",
        n_ctx: int | None = None,
        ctx_init: str | None = None,
        class_prompts: Mapping[str, str] | str | Path | None = None,
        csc: bool = False,
        class_token_position: str = "end",
        on_overflow: str = "error",
        init_std: float = 0.02,
        reduction: int = 16,
    ) -> None:
        super().__init__(
            classes,
            tower,
            tokens,
            ctx_mode=ctx_mode,
            n_ctx=n_ctx,
            ctx_init=ctx_init,
            class_prompts=class_prompts,
            csc=csc,
            class_token_position=class_token_position,
            on_overflow=on_overflow,
            init_std=init_std,
        )
        hidden = max(1, tower.embed_dim // reduction)
        self.shift = nn.Sequential(nn.Linear(tower.embed_dim, hidden), nn.ReLU(), nn.Linear(hidden, tower.width))

    def forward(self, embedding: nn.Embedding, condition: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Prompts of all classes for every video, as far as the tower must see them.

        Args:
            embedding: the token embedding of the tower.
            condition: (M, E) float, normalised features of the videos.
        Returns:
            embeddings (M * K, L, D), the classes of the first video first, and the places of the end of text (M * K,).
        """
        plain, eot = super().forward(embedding)
        learned = (self.source[:, : self.length] >= 0).unsqueeze(2).to(plain.dtype)  # (K, L, 1)
        shift = self.shift(condition).to(plain.dtype)[:, None, None]  # (M, 1, 1, D)
        return torch.addcmul(plain, learned, shift).flatten(0, 1), eot.repeat(len(condition))


def _vectors(initial, table, std):
    """Start of every learned vector: (R, D) float32; the embedding of a token, or a random one from N(0, std)."""
    ctx = torch.empty(len(initial), table.shape[1]).normal_(std=std)
    for row, token in enumerate(initial):
        if token is not RANDOM:
            ctx[row] = table[token].detach().float()
    return ctx


def _text(parts, tokens):
    """Prefix and context of a prompt as text, with X for a vector without a token to start from."""
    known = tokens.text([*parts.prefix, *(token for token in parts.context if token is not RANDOM)])
    return " ".join([*([known] if known else []), *("X" for token in parts.context if token is RANDOM)])


def nearest_tokens(vectors: Tensor, table: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
    """The tokens closest to each vector in Euclidean distance, of equally close ones the first.

    Args:
        vectors: (R, D).
        table: (V, D) token embedding.
        count: how many of them.
    Returns:
        token ids (R, count) int64 and distances (R, count) float32, the closest first.
    """
    distances, found = torch.cdist(vectors.float(), table.float()), []
    for _ in range(count):  # not topk, which leaves open which of equals it takes
        found.append(distances.min(dim=1))
        distances.scatter_(1, found[-1].indices[:, None], torch.inf)
    return torch.stack([near.indices for near in found], dim=1), torch.stack([near.values for near in found], dim=1)
