"""Texts that do not learn: the name of a class in a template, or several sentences that describe it.

K classes, R texts of all classes, L positions, D width of the text tower
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...ops.names import shown_class
from ...registry import PROMPTS
from ...utils.logging import LOGGER
from ...utils.validation import check_choice, check_number
from ..clip.towers import TextEncoder, Tokens
from .class_prompts import TextPrompt, lay_out, read_by_class

POOLS = ("logsumexp", "max")


@PROMPTS.register_module()
class FixedTexts(TextPrompt):
    """Plain texts of all classes, for methods that learn on the side of the images alone, and for zero-shot.

    Args:
        classes: names by label; '_' is read as a space.
        tower: the `TextEncoder` the texts are for.
        tokens: its `Tokens`.
        template: text of a class, its name in the place of {}.
        descriptors: {class: [sentence, ...]} or the path of a JSON file that holds that; a class that is missing gets
            the template, with a warning.
        pool: how a class scores by several sentences. "logsumexp": log of the mean of exp, so that many sentences give
            no advantage over few; "max": by the best.
        temperature: of logsumexp: the lower, the nearer to the best sentence; the higher, to the mean.
    Raises:
        ValueError, KeyError, FileNotFoundError: naming the argument, class or sentence; a text longer than the tower
            takes; two classes whose texts are the same.
    """

    class_specific = False
    learns = False
    token_ids: Tensor
    eot_index: Tensor
    owner: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        tower: TextEncoder,
        tokens: Tokens,
        *,
        template: str = "{}",
        descriptors: Mapping[str, Sequence[str]] | str | Path | None = None,
        pool: str = "logsumexp",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.classes, self.pool = list(classes), check_choice("FixedTexts: pool", pool, POOLS)
        self.temperature = check_number("FixedTexts: temperature", temperature, positive=True)
        groups = class_texts(self.classes, template, descriptors)
        self.texts = [text for group in groups for text in group]
        owners = [label for label, group in enumerate(groups) for _ in group]
        ids = [
            _within(tower.context_length, text, tokens, self.classes[k])
            for text, k in zip(self.texts, owners, strict=True)
        ]
        _refuse_duplicates(self.classes, owners, ids)
        layout = lay_out(ids, tokens, tower.context_length)
        self.length = tower.length(int(layout.eot_index.max()))
        self.register_buffer("token_ids", layout.token_ids[:, : self.length], persistent=False)
        self.register_buffer("eot_index", layout.eot_index, persistent=False)
        self.register_buffer("owner", torch.tensor(owners), persistent=False)

    def forward(self, embedding: nn.Embedding) -> tuple[Tensor, Tensor]:
        """Texts of all classes, as far as the tower must see them.

        Args:
            embedding: the token embedding of the tower.
        Returns:
            embeddings (R, L, D), without positions, and the place of the end-of-text token (R,) int64.
        """
        return embedding(self.token_ids), self.eot_index

    def reduce(self, logits: Tensor) -> Tensor:
        """Scores of classes by those of their texts: (..., R) -> (..., K)"""
        count = len(self.classes)
        if len(self.owner) == count:
            return logits
        scaled = logits if self.pool == "max" else logits / self.temperature
        owner = self.owner.expand(logits.shape)
        best = logits.new_full((*logits.shape[:-1], count), float("-inf"))
        best = best.scatter_reduce(-1, owner, scaled, "amax")
        if self.pool == "max":
            return best
        level = best.detach()
        total = torch.zeros_like(level).scatter_add(-1, owner, (scaled - level.gather(-1, owner)).exp())
        return self.temperature * (
            level + total.log() - torch.bincount(self.owner, minlength=count).to(level.dtype).log()
        )


def class_texts(
    classes: Sequence[str], template: str, descriptors: Mapping[str, Sequence[str]] | str | Path | None = None
) -> list[list[str]]:
    """A list of texts for every class, in the order of `classes`; arguments and errors as `FixedTexts` has them."""
    if not isinstance(template, str) or template.count("{}") != 1:
        raise ValueError(f"template {template!r} needs one {{}} where the name of a class goes")

    def sentences_of(name: str, sentences: Any) -> list[str]:
        fine = isinstance(sentences, (list, tuple)) and all(isinstance(s, str) and s.strip() for s in sentences)
        if not fine or not sentences:
            raise ValueError(f"descriptors: class {name!r} needs a list of sentences, not {str(sentences)[:60]!r}")
        return list(dict.fromkeys(" ".join(sentence.split()) for sentence in sentences))

    found = read_by_class("descriptors", descriptors, classes, sentences_of, form="{class: [sentence, ...]}")
    missing = [name for name in classes if name not in found]
    if missing and descriptors is not None:
        LOGGER.warning("descriptors: none for %s; the template %r is taken", ", ".join(missing), template)
    return [found.get(name) or [template.replace("{}", shown_class(name))] for name in classes]


def _within(length, text, tokens, name):
    """Ids of `text`; ValueError if they and the special ones are more than `length`."""
    ids, special = tokens.encode(text), len(tokens.start) + len(tokens.end)
    if len(ids) + special > length:
        raise ValueError(
            f"a text of class {name!r} is too long: {len(ids)} tokens and {special} special ones make "
            f"{len(ids) + special}, but the tower takes {length}. Shorten {text[:60]!r}"
        )
    return ids


def _refuse_duplicates(classes, owners, ids):
    """ValueError if two classes have the same texts, token by token, so that they cannot be distinguished."""
    texts: dict[int, set] = {}
    for label, row in zip(owners, ids, strict=True):
        texts.setdefault(label, set()).add(tuple(row))
    seen: dict[frozenset, int] = {}
    for label, rows in texts.items():
        first = seen.setdefault(frozenset(rows), label)
        if first != label:
            raise ValueError(
                f"classes {classes[first]!r} and {classes[label]!r} have the same texts, so they cannot be "
                "distinguished; give them other names or descriptors"
            )
