"""The texts of classes as tokens, with places for learned vectors.

A sentence for every class, from whatever a user has.

What every class's prompt is made of before it is laid out: fixed tokens, and those that learning starts from.

Prompts put together: which position holds a fixed token, and which a learned vector.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from ...ops.names import class_key, shown_class
from ...registry import nearest
from ...utils.files import read_json
from ...utils.logging import LOGGER

LONG, MANY = 20, 3  # words of one text for all classes, and sentences in one text, from which on they were joined
_JOINED = (
    "the sentences of all classes were joined to one. Every class would get the same context, and beyond the tower's "
    "length the class names are cut off, so that the loss stays at ln(number of classes). Give each class its own "
    "sentence: {class: sentence}, or the path of a JSON file of that form"
)


def default_sentence(name):
    """The sentence of a class that none was given for."""
    if class_key(name).startswith("normal"):
        return "a normal scene without any anomaly"
    return f"a video with {shown_class(name).lower()}"


def class_sentences(source, classes):
    """One sentence per class, in the order of `classes`.

    Args:
        source: {class: sentence}, the path of a JSON file that holds that, or None. Names match whatever their case,
            '_', '-' and spaces; a class that is missing gets a sentence by its name, with a warning.
        classes: names by label.
    Raises:
        FileNotFoundError, ValueError: no such file; no such form; an empty sentence; one sentence for all classes.
        KeyError: a name that is no class.
    """
    given = _read(source)
    known = {class_key(name): name for name in classes}
    found = {}
    for name, sentence in given.items():
        if class_key(name) not in known:
            raise KeyError(
                f"class_prompts: {name!r} is no class; {nearest(name, classes, every=True)}. Give sentences of these "
                "classes, or class_prompts=None to make them from the names"
            )
        if class_key(name) in found:
            raise ValueError(
                f"class_prompts: class {known[class_key(name)]!r} stands there twice, the second time as {name!r}"
            )
        if not isinstance(sentence, str) or not sentence.strip():
            raise ValueError(f"class_prompts: class {name!r} needs a sentence, not {sentence!r}")
        found[class_key(name)] = " ".join(sentence.split())
    _refuse_joined(found, classes)
    missing = [name for name in classes if class_key(name) not in found]
    if missing and source is not None:
        LOGGER.warning(
            "class_prompts: none for %s; such as %r is taken", ", ".join(missing), default_sentence(missing[0])
        )
    return [found.get(class_key(name)) or default_sentence(name) for name in classes]


def _read(source):
    """The dict in `source`."""
    if source is None:
        return {}
    if isinstance(source, (str, Path)):
        if Path(source).suffix != ".json":
            what = "is no name of a .json file" if len(str(source)) < 300 else "is a text of many words"
            raise ValueError(f"class_prompts {str(source)[:60]!r} {what}, which alone is read. Or {_JOINED}")
        source = read_json(source, "class prompts")
    if not isinstance(source, dict):
        raise ValueError(
            f"class_prompts must be {{class: sentence}}, not a {type(source).__name__}: {str(source)[:60]}"
        )
    return source


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


@dataclass(frozen=True)
class Parts:
    """One class's prompt, as token ids.

    Args:
        prefix: fixed tokens in front of the context.
        context: for every learned vector the token it starts from, or None.
        name, stop: tokens of the class name and of the full stop.
    """

    prefix: list
    context: list
    name: list
    stop: list


def class_parts(classes, tokens, length, *, ctx_mode, n_ctx, ctx_init, class_prompts, on_overflow):
    """`Parts` of every class; arguments as `PromptLearner` has them, `length` is the context length of the tower."""
    _check_arguments(ctx_mode, on_overflow, n_ctx=n_ctx, ctx_init=ctx_init, class_prompts=class_prompts)
    names, stops = zip(*(_name_and_stop(shown_class(name), tokens) for name in classes), strict=True)
    free = [RANDOM] * (N_CTX if n_ctx is None else n_ctx) if "n_ctx" in MODES[ctx_mode] else []
    special = len(tokens.start) + len(tokens.end)
    rooms = [length - special - len(free) - len(name) - len(stop) for name, stop in zip(names, stops, strict=True)]
    if ctx_mode == "shared_init":
        sentences, rooms = [ctx_init] * len(names), [min(rooms)] * len(names)
    elif "class_prompts" in MODES[ctx_mode]:
        sentences = class_sentences(class_prompts, classes)
    else:
        sentences = [""] * len(names)
    parts = []
    for label, sentence, name, stop, room in zip(classes, sentences, names, stops, rooms, strict=True):
        said = tokens.encode(sentence) if sentence else []
        if on_overflow == "truncate_ctx" and 0 <= room < len(said):
            LOGGER.warning("class %s: its sentence of %d tokens is cut to %d", label, len(said), room)
            said = said[:room]
        prefix, context = (said, free) if ctx_mode == "class_prefix" else ([], said or free)
        _check_budget(label, len(said) + len(free), len(name), len(stop), special, length, sentence=bool(said))
        parts.append(Parts(prefix, context, name, stop))
    return parts


def _name_and_stop(name, tokens):
    """Tokens of a class name and of the full stop after it; a name whose last sign merges with the stop has none."""
    whole, stop = tokens.encode(f"{name}."), tokens.encode(".")
    bare = tokens.encode(name)
    return (bare, whole[len(bare) :]) if whole[: len(bare)] == bare else (whole, stop[:0])


def _check_arguments(ctx_mode, on_overflow, **given):
    """ValueError for an unknown mode, or an argument that the mode lacks or does not know."""
    if ctx_mode not in MODES:
        raise ValueError(f"ctx_mode {ctx_mode!r} is unknown; {nearest(ctx_mode, MODES, every=True)}")
    if on_overflow not in OVERFLOWS:
        raise ValueError(f"on_overflow {on_overflow!r} is not one of {', '.join(map(repr, OVERFLOWS))}")
    for name, value in given.items():
        if value is not None and name not in MODES[ctx_mode]:
            users = ", ".join(mode for mode, used in MODES.items() if name in used)
            raise ValueError(f"{name} has no effect with ctx_mode {ctx_mode!r}; it is for {users}")
    if ctx_mode == "shared_init" and not (isinstance(given["ctx_init"], str) and given["ctx_init"].strip()):
        raise ValueError(f"ctx_mode 'shared_init' needs a sentence as ctx_init, not {given['ctx_init']!r}")
    n_ctx = given["n_ctx"]
    if n_ctx is not None and (not isinstance(n_ctx, int) or n_ctx < 1):
        raise ValueError(f"n_ctx {n_ctx!r} must be a whole number, at least 1")


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
