"""Names of classes that come from several places: a label means the same class in all of them, or it is an error."""

import inspect


def asks_for_classes(kind, cfg):
    """Does what `cfg` describes take `classes`, which `cfg` does not give?

    Args:
        kind: the registry of the component.
        cfg: dict(type, ...).
    """
    if not isinstance(cfg, dict) or "type" not in cfg or "classes" in cfg:
        return False
    return "classes" in inspect.signature(kind.find(cfg["type"])).parameters


def file_classes(content, module=None):
    """Names by label that the content of a checkpoint gives, or None where it gives none.

    None, too, if the weights do not belong to classes: `module`, the network they are for, has `open_vocabulary`.
    """
    if getattr(module, "open_vocabulary", False):
        return None
    names = content.get("classes")
    return list(map(str, names)) if isinstance(names, (list, tuple)) and names else None


def check_same_classes(sources):
    """Compare the names of the classes by label.

    Args:
        sources: {where they are from: names, or None where they are not known}.
    Raises:
        ValueError: two lists differ; it tells the first label that they name differently, or their lengths.
    """
    known = [(source, list(map(str, names))) for source, names in sources.items() if names]
    for source, names in known[1:]:
        first, expected = known[0]
        pairs = enumerate(zip(expected, names, strict=False))
        found = next((f"{i} is {a!r} in {first}, but {b!r} in {source}" for i, (a, b) in pairs if a != b), None)
        if found is None and len(names) != len(expected):
            found = f"there are {len(expected)} in {first}, but {len(names)} in {source}"
        if found:
            raise ValueError(
                f"the classes differ: {found}. Take weights and data of the same classes in the same order; if it is "
                "intended, save the checkpoint again without its key 'classes', which alone is compared"
            )
