"""Initial weights of a branch: from whatever file a user has, strictly, saying what was taken."""

from ..registry import check_keys
from ..utils.logging import LOGGER
from ..utils.validation import check_finite_weights
from ..utils.weight_files import adapted, differences, read_file, unwrapped
from .ema import warn_of_start, weights_in_words

__all__ = ["branch_part", "fill", "load_initial_weights", "load_weights", "read_file", "read_weights"]

_PRETRAINED_KEYS = ("path", "module", "missing", "unexpected")


def read_weights(spec):
    """State dict in the file `spec` and the key it was found under, of what `utils.weight_files.read_file` gives."""
    return read_file(spec)[:2]


def load_weights(module, state, *, what, missing=(), unexpected=()):
    """Load `state` into `module`: every name must match, except those that the patterns allow for.

    Args:
        module: the network; its `adapt_state_dict`, if it has one, first brings foreign key styles to its own.
        state: {name: tensor}.
        what: name of the source, for errors.
        missing: patterns of names the network may have beyond the file.
        unexpected: patterns of names the file may have beyond the network.
    Returns:
        number of tensors taken.
    Raises:
        ValueError: names or shapes differ, or a weight is NaN or infinite; all of them are listed.
    """
    state = adapted(state, getattr(module, "adapt_state_dict", dict), what)
    own = module.state_dict()
    text = differences(own, state, missing=missing, unexpected=unexpected)
    if text:
        raise ValueError(f"the weights of {what} do not fit the network:{text}")
    taken = {n: t for n, t in state.items() if n in own}
    check_finite_weights(taken, what, own)
    module.load_state_dict(taken, strict=False)
    return len(taken)


def fill(module, spec, *, name=None, part=None, missing=(), unexpected=()):
    """Read `spec` (see `read_weights`), load it strictly into `module` (see `load_weights`), log what was taken.

    Args:
        name: what the log calls the network.
        part: name of a branch; of the file of several, its part is taken.
    Returns:
        all that the file holds.
    """
    state, key, content = read_file(spec)
    state = unwrapped(state, module.state_dict())
    if part:
        state = branch_part(state, part)
    taken = load_weights(module, state, what=spec, missing=missing, unexpected=unexpected)
    LOGGER.info("%s%d tensors from %s (%s)", f"{name}: " if name else "", taken, spec, _in_words(key, content))
    return content


def _in_words(key, content):
    """What the weights under `key` of the content of a file are; warns of an average that is mostly its start."""
    if key != "state_dict_ema":
        return f"{key}: raw weights" if key == "state_dict" else key or "plain state dict"
    progress = content.get("ema")
    known = isinstance(progress, dict) and (not progress or {"decay", "updates", "warm_up"} <= set(progress))
    warn_of_start(progress if known else None)
    return f"{key}: {weights_in_words(progress if known else None)}"


def load_initial_weights(name, module, cfg):
    """Fill the network of branch `name` from `cfg["load_from"]`, else from `cfg["pretrained"]` (see `Branch`).

    `load_from` fills the whole network; the file may also be one of a pair, which then gives the part of this name.
    `pretrained` is dict(path, module, missing, unexpected) and fills the sub-network `module`.

    Returns:
        all that the file `load_from` holds; {} without one.
    """
    spec, pretrained = cfg.get("load_from"), cfg.get("pretrained")
    if spec:
        options = {"missing": cfg.get("load_missing", ()), "unexpected": cfg.get("load_unexpected", ())}
        return fill(module, spec, name=name, part=name, **options)
    if pretrained and pretrained.get("path"):
        check_keys(f"branches.{name}.pretrained", pretrained, _PRETRAINED_KEYS)
        options = {key: pretrained.get(key, ()) for key in ("missing", "unexpected")}
        inner = module.get_submodule(pretrained.get("module", ""))
        fill(inner, pretrained["path"], name=f"{name}, pretrained", **options)
    return {}


def branch_part(state, name):
    """The entries below `name.` if the file holds several branches, else all of them."""
    prefix = f"{name}."
    if any(n.startswith(prefix) for n in state):
        return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    return state
