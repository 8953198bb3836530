"""Texts that do not learn: the name of a class in a template, or several sentences that describe it."""

from pathlib import Path

import torch
from torch import nn

from ...ops.names import class_key, shown_class
from ...registry import PROMPTS, nearest
from ...utils.files import read_json
from ...utils.logging import LOGGER
from .class_prompts import lay_out

# K classes, R texts of all classes, L positions, D width of the text tower

POOLS = ("logsumexp", "max")


@PROMPTS.register_module()
class FixedTexts(nn.Module):
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

    def __init__(self, classes, tower, tokens, *, template="{}", descriptors=None, pool="logsumexp", temperature=1.0):
        super().__init__()
        if pool not in POOLS:
            raise ValueError(f"pool {pool!r} of fixed texts is unknown; {nearest(pool, POOLS, every=True)}")
        if not temperature > 0:
            raise ValueError(f"temperature {temperature!r} of fixed texts must be above 0")
        self.classes, self.pool, self.temperature = list(classes), pool, temperature
        groups = class_texts(self.classes, template, descriptors)
        self.texts = [text for group in groups for text in group]
        owners = [label for label, group in enumerate(groups) for _ in group]
        ids = [
            _within(tower.context_length, text, tokens, self.classes[k])
            for text, k in zip(self.texts, owners, strict=True)
        ]
        _refuse_twins(self.classes, owners, ids)
        layout = lay_out(ids, tokens, tower.context_length)
        self.length = tower.length(int(layout.eot_index.max()))
        self.register_buffer("token_ids", layout.token_ids[:, : self.length], persistent=False)
        self.register_buffer("eot_index", layout.eot_index, persistent=False)
        self.register_buffer("owner", torch.tensor(owners), persistent=False)

    def forward(self, embedding):
        """Texts of all classes, as far as the tower must see them.

        Args:
            embedding: the token embedding of the tower.
        Returns:
            embeddings (R, L, D), without positions, and the place of the end-of-text token (R,) int64.
        """
        return embedding(self.token_ids), self.eot_index

    def reduce(self, logits):
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


def class_texts(classes, template, descriptors=None):
    """A list of texts for every class, in the order of `classes`; arguments and errors as `FixedTexts` has them."""
    if not isinstance(template, str) or template.count("{}") != 1:
        raise ValueError(f"template {template!r} needs one {{}} where the name of a class goes")
    found = {}
    for name, sentences in _read(descriptors).items():
        key = class_key(name)
        if key not in map(class_key, classes):
            raise KeyError(f"descriptors: {name!r} is no class; {nearest(name, classes, every=True)}")
        if key in found:
            raise ValueError(f"descriptors: class {name!r} stands there twice, in two spellings")
        fine = isinstance(sentences, (list, tuple)) and all(isinstance(s, str) and s.strip() for s in sentences)
        if not fine or not sentences:
            raise ValueError(f"descriptors: class {name!r} needs a list of sentences, not {str(sentences)[:60]!r}")
        found[key] = list(dict.fromkeys(" ".join(sentence.split()) for sentence in sentences))
    missing = [name for name in classes if class_key(name) not in found]
    if missing and descriptors is not None:
        LOGGER.warning("descriptors: none for %s; the template %r is taken", ", ".join(missing), template)
    return [found.get(class_key(name)) or [template.replace("{}", shown_class(name))] for name in classes]


def _read(source):
    """The dict in `source`."""
    if source is None:
        return {}
    if isinstance(source, (str, Path)):
        source = read_json(source, "descriptors")
    if not isinstance(source, dict):
        raise ValueError(
            f"descriptors must be {{class: [sentence, ...]}} or the path of a JSON file of that form, not a "
            f"{type(source).__name__}: {str(source)[:60]}"
        )
    return source


def _within(length, text, tokens, name):
    """Ids of `text`; ValueError if they and the special ones are more than `length`."""
    ids, special = tokens.encode(text), len(tokens.start) + len(tokens.end)
    if len(ids) + special > length:
        raise ValueError(
            f"a text of class {name!r} is too long: {len(ids)} tokens and {special} special ones make "
            f"{len(ids) + special}, but the tower takes {length}. Shorten {text[:60]!r}"
        )
    return ids


def _refuse_twins(classes, owners, ids):
    """ValueError if two classes have the same texts, token by token: nothing would tell them apart."""
    texts = {}
    for label, row in zip(owners, ids, strict=True):
        texts.setdefault(label, set()).add(tuple(row))
    seen = {}
    for label, rows in texts.items():
        twin = seen.setdefault(frozenset(rows), label)
        if twin != label:
            raise ValueError(
                f"classes {classes[twin]!r} and {classes[label]!r} have the same texts, so nothing tells them apart; "
                "give them other names or descriptors"
            )
