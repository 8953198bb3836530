"""Lists of layers, as configs give them."""


def check_layers(where, layers, **towers):
    """`layers` as a sorted tuple, if every tower has them all.

    Args:
        where: name of the argument, for messages.
        layers: indices from 0 on.
        towers: number of layers of each tower, by its name ("text", "visual").
    Raises:
        ValueError: a layer that is no index of a tower, or stands there twice.
    """
    layers = list(layers)
    for layer in layers:
        if isinstance(layer, bool) or not isinstance(layer, int):
            raise ValueError(f"{where}: layer {layer!r} is no whole number")
        for name, count in towers.items():
            if not 0 <= layer < count:
                raise ValueError(f"{where}: the {name} tower has no layer {layer}; it has layers 0 to {count - 1}")
    if len(set(layers)) < len(layers):
        raise ValueError(f"{where}: a layer stands twice in {layers}")
    return tuple(sorted(layers))
