"""A sentence for every class, from whatever a user has."""

from pathlib import Path

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
