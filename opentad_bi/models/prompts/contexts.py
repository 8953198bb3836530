"""What every class's prompt is made of before it is laid out: fixed tokens, and those that learning starts from."""

from dataclasses import dataclass

from ...ops.names import shown_class
from ...registry import nearest
from ...utils.logging import LOGGER
from .class_prompts import class_sentences

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
