"""The texts of classes as tokens, with places for learned vectors.

In three steps: a sentence for every class, from whatever a user has (`class_sentences`); what the prompt of every class
is made of, fixed tokens and those that learning starts from (`class_parts`); and which position holds a fixed token,
which a learned vector (`arrange`, `lay_out`).

K classes, R texts or learned vectors of all classes, L positions, D width of the text tower
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...ops.names import class_key, shown_class
from ...registry import PROMPTS, nearest
from ...utils.files import read_json
from ...utils.logging import LOGGER
from ...utils.validation import check_choice, check_count
from ..clip.towers import Tokens

RANDOM = None  # in a context: a vector without a token to start from
N_CTX = 16
OVERFLOWS = ("error", "truncate_ctx")
# mode: does it use n_ctx, ctx_init, class_prompts?
MODES = {
    "random": ("n_ctx",),
    "shared_init": ("ctx_init",),
    "class_init": ("class_prompts",),
    "class_prefix": ("n_ctx", "class_prompts"),
}
LONG, MANY = 20, 3  # words of one text for all classes, and sentences in one text, from which on they were joined
_JOINED = (
    "the sentences of all classes were joined to one. Every class would get the same context, and beyond the tower's "
    "length the class names are cut off, so that the loss stays at ln(number of classes). Give each class its own "
    "sentence: {class: sentence}, or the path of a JSON file of that form"
)


class TextPrompt(nn.Module):
    """The texts of all classes for a text tower, perhaps with learned vectors among their tokens.

    A subclass has `forward(embedding)`, or, if it is conditional, `forward(embedding, condition)` with features of the
    videos. It gives embedded texts (R, L, D) without positions, and the places of their end-of-text tokens (R,).

    Attributes:
        class_specific: what is learned belongs to the classes and is of no use to others.
        conditional: the texts follow the video.
        learns: False for texts that are fixed.
    """

    class_specific = True
    conditional = False
    learns = True

    def reduce(self, logits: Tensor) -> Tensor:
        """Scores of classes by those of their texts: (..., R) -> (..., K); the same where every class has one."""
        return logits

    def describe(self, embedding: nn.Embedding, tokens: Tokens, count: int = 1) -> dict | None:
        """The prompts as plain data for readers; None if there is nothing to say.

        Args:
            embedding: the token embedding of the tower.
            count: nearest tokens to name for every learned vector.
        """
        return None

    def adapt_state_dict(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring weights of another form to this module's; ValueError for those of other prompts."""
        return dict(state)


def build_text_prompt(cfg: Mapping[str, Any], **context: Any) -> TextPrompt:
    """Build a text prompt as `PROMPTS.build` does; a class that does not inherit `TextPrompt` gets what it lacks."""
    prompt = PROMPTS.build(cfg, **context)
    if not isinstance(prompt, TextPrompt):  # version 0.1.0 asked for no base
        kind = type(prompt)
        prompt.__class__ = type(kind.__name__, (kind, TextPrompt), {"__module__": kind.__module__})
    return prompt


def default_sentence(name: str) -> str:
    """The sentence of a class that comes without one."""
    if class_key(name).startswith("normal"):
        return "a normal scene without any anomaly"
    return f"a video with {shown_class(name).lower()}"


def class_sentences(source: Mapping[str, str] | str | Path | None, classes: Sequence[str]) -> list[str]:
    """One sentence per class, in the order of `classes`.

    Args:
        source: {class: sentence}, the path of a JSON file that holds that, or None. Names match whatever their case,
            '_', '-' and spaces; a class that is missing gets a sentence by its name, with a warning.
        classes: names by label.
    Raises:
        FileNotFoundError, ValueError: no such file; no such form; an empty sentence; one sentence for all classes.
        KeyError: an unknown class.
    """
    if isinstance(source, (str, Path)) and Path(source).suffix != ".json":
        what = "not the name of one" if len(str(source)) < 300 else "a text of many words"
        raise ValueError(f"class_prompts must be a .json file; {str(source)[:60]!r} is {what}. Or {_JOINED}")

    def sentence_of(name: str, sentence: Any) -> str:
        if not isinstance(sentence, str) or not sentence.strip():
            raise ValueError(f"class_prompts: class {name!r} needs a sentence, not {sentence!r}")
        return " ".join(sentence.split())

    found = read_by_class("class_prompts", source, classes, sentence_of, form="{class: sentence}")
    _refuse_joined(found, classes)
    missing = [name for name in classes if name not in found]
    if missing and source is not None:
        LOGGER.warning(
            "class_prompts: none for %s; such as %r is taken", ", ".join(missing), default_sentence(missing[0])
        )
    return [found.get(name) or default_sentence(name) for name in classes]


def read_by_class(
    where: str,
    source: Mapping[str, Any] | str | Path | None,
    classes: Sequence[str],
    value_of: Callable[[str, Any], Any],
    *,
    form: str,
) -> dict[str, Any]:
    """{class: `value_of(name, value)`} of a dict or a JSON file by the names of classes, {} for None.

    Names match whatever their case, '_', '-' and spaces.

    Args:
        where: name of the argument, for messages.
        source: the dict, the path of the file, or None.
        classes: names by label, as the result has them.
        value_of: checks and cleans what is given for a class.
        form: of the source, for messages.
    Raises:
        FileNotFoundError, ValueError: no such file; no such form; a class that is given twice.
        KeyError: an unknown class.
    """
    given: Any = read_json(source, where) if isinstance(source, (str, Path)) else {} if source is None else source
    if not isinstance(given, dict):
        raise ValueError(
            f"{where} must be {form} or the path of a JSON file of that form, not a {type(given).__name__}: "
            f"{str(given)[:60]}"
        )
    known, found = {class_key(name): name for name in classes}, {}
    for name, value in given.items():
        if class_key(name) not in known:
            raise KeyError(f"{where}: unknown class {name!r}; {nearest(name, classes, every=True)}")
        own = known[class_key(name)]
        if own in found:
            raise ValueError(f"{where}: class {own!r} is given twice, the second time as {name!r}")
        found[own] = value_of(name, value)
    return found


def _refuse_joined(found, classes):
    """ValueError if all classes have one long text, or one text is little but the sentences of three others."""
    longest = max(found.values(), key=len, default="")
    others = sorted({sentence for sentence in found.values() if sentence != longest}, key=len, reverse=True)
    rest, inside = longest, 0
    for sentence in others:
        if sentence in rest:
            rest, inside = rest.replace(sentence, "", 1), inside + 1
    same = len(found) > 1 and not others and len(longest.split()) > LONG
    if same or (inside >= MANY and len(rest.strip()) < len(longest) / 2):
        raise ValueError(f"class_prompts of {len(found)} of {len(classes)} classes begin {longest[:60]!r}: {_JOINED}")


@dataclass(frozen=True)
class Parts:
    """One class's prompt, as token ids.

    Args:
        prefix: fixed tokens in front of the context.
        context: for every learned vector the token it starts from, or None.
        name, stop: tokens of the class name and of the full stop.
    """

    prefix: list[int]
    context: list[int | None]
    name: list[int]
    stop: list[int]


def class_parts(
    classes: Sequence[str],
    tokens: Tokens,
    length: int,
    *,
    ctx_mode: str,
    n_ctx: int | None,
    ctx_init: str | None,
    class_prompts: Mapping[str, str] | str | Path | None,
    on_overflow: str,
) -> list[Parts]:
    """`Parts` of every class; arguments as `PromptLearner` has them, `length` is the context length of the tower."""
    _check_arguments(ctx_mode, on_overflow, n_ctx=n_ctx, ctx_init=ctx_init, class_prompts=class_prompts)
    names, stops = zip(*(_name_and_stop(shown_class(name), tokens) for name in classes), strict=True)
    free: list[int | None] = [RANDOM] * (N_CTX if n_ctx is None else n_ctx) if "n_ctx" in MODES[ctx_mode] else []
    special = len(tokens.start) + len(tokens.end)
    rooms = [length - special - len(free) - len(name) - len(stop) for name, stop in zip(names, stops, strict=True)]
    if ctx_init is not None:  # of "shared_init" alone
        sentences, rooms = [ctx_init] * len(names), [min(rooms)] * len(names)
    elif "class_prompts" in MODES[ctx_mode]:
        sentences = class_sentences(class_prompts, classes)
    else:
        sentences = [""] * len(names)
    parts = []
    for label, sentence, name, stop, room in zip(classes, sentences, names, stops, rooms, strict=True):
        own = tokens.encode(sentence) if sentence else []
        if on_overflow == "truncate_ctx" and 0 <= room < len(own):
            LOGGER.warning("class %s: its sentence of %d tokens is cut to %d", label, len(own), room)
            own = own[:room]
        prefix, context = (own, free) if ctx_mode == "class_prefix" else ([], [*own] or free)
        _check_budget(label, len(own) + len(free), len(name), len(stop), special, length, sentence=bool(own))
        parts.append(Parts(prefix, context, name, stop))
    return parts


def _name_and_stop(name, tokens):
    """Tokens of a class name and of the full stop after it; a name whose last sign merges with the stop has none."""
    whole, stop = tokens.encode(f"{name}."), tokens.encode(".")
    bare = tokens.encode(name)
    return (bare, whole[len(bare) :]) if whole[: len(bare)] == bare else (whole, stop[:0])


def _check_arguments(ctx_mode, on_overflow, **given):
    """ValueError for an unknown mode, or an argument that the mode misses or does not know."""
    check_choice("ctx_mode", ctx_mode, MODES)
    check_choice("on_overflow", on_overflow, OVERFLOWS)
    for name, value in given.items():
        if value is not None and name not in MODES[ctx_mode]:
            users = ", ".join(mode for mode, used in MODES.items() if name in used)
            raise ValueError(f"{name} has no effect with ctx_mode {ctx_mode!r}; it is for {users}")
    if ctx_mode == "shared_init" and not (isinstance(given["ctx_init"], str) and given["ctx_init"].strip()):
        raise ValueError(f"ctx_mode 'shared_init' needs a sentence as ctx_init, not {given['ctx_init']!r}")
    check_count("n_ctx", given["n_ctx"], optional=True)


def _check_budget(label, context, name, stop, special, length, *, sentence):
    """ValueError, with the count of every part, if a prompt is longer than the tower takes."""
    needed = special + context + name + stop
    if needed > length and not sentence:
        raise ValueError(
            f"the prompt of class {label!r} is too long: n_ctx {context}, {name} tokens of the name, {stop} of the "
            f"full stop and {special} special ones make {needed}, but the tower takes {length}; choose n_ctx at most "
            f"{context - (needed - length)}"
        )
    if needed > length:
        raise ValueError(
            f"the prompt of class {label!r} is too long: {context} tokens of context, {name} of the name, {stop} of "
            f"the full stop and {special} special ones make {needed}, but the tower takes {length}. Shorten the "
            "sentence or n_ctx (on_overflow='truncate_ctx' cuts the sentence and keeps name and end). If the sentences "
            "of all classes were joined to one, give each class its own: ctx_mode='class_init' with class_prompts="
            "{class: sentence}. Cut to the tower's length, a joined text loses the class names, so that all classes "
            "look the same, the loss stays at ln(number of classes) and no gradient is left"
        )


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

    token_ids: Tensor
    source: Tensor
    eot_index: Tensor


def arrange(rows: Sequence[int], parts: Parts, position: str) -> list[int | Learned]:
    """One prompt in order, without its special tokens: list of ids and `Learned`.

    The three positions have the same length, so the end-of-text token stands at the same place.

    Args:
        rows: rows of the learned vectors of this prompt.
        position: where the name stands. "end": context, name, stop; "middle": half of the context, name, the other
            half, stop; "front": name, context, stop.
    """
    context: list[int | Learned] = [Learned(row) for row in rows]
    half = len(rows) // 2
    orders: dict[str, list[int | Learned]] = {
        "end": [*context, *parts.name],
        "middle": [*context[:half], *parts.name, *context[half:]],
        "front": [*parts.name, *context],
    }
    return [*parts.prefix, *orders[check_choice("class_token_position", position, orders)], *parts.stop]


def lay_out(prompts: Sequence[Iterable[int | Learned]], tokens: Tokens, length: int) -> Layout:
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
        whole: list[Any] = [*tokens.start, *prompt, *tokens.end]
        ends.append(len(whole) - 1)
        for position, item in enumerate(whole):
            if isinstance(item, Learned):
                source[k, position] = item.row
            else:
                token_ids[k, position] = item
    return Layout(token_ids, source, torch.tensor(ends))
