"""What transforms draw from, checked when they are built, and boxes in a frame."""

import math
from numbers import Real


def check_probability(where, value):
    """`value` if it is a number from 0 to 1; ValueError naming `where` otherwise."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= 1:
        raise ValueError(f"{where} {value!r} is not a probability, a number from 0 to 1")
    return value


def check_range(where, value):
    """`value` as a tuple if it is (low, high) with 0 < low <= high; ValueError naming `where` otherwise."""
    value = tuple(value)
    if len(value) != 2 or not 0 < value[0] <= value[1]:
        raise ValueError(f"{where} {value} must be 0 < low <= high")
    return value


def random_box(height, width, area_range, aspect_range, *, rng):
    """Draw a box in a frame: the first of 10 that fits, or None (Szegedy et al., CVPR 2015).

    Args:
        height, width: of the frame, in pixels.
        area_range: share of the area of the frame.
        aspect_range: width / height, drawn evenly in its logarithm.
        rng: random.Random.
    Returns:
        left, top, right, bottom; the last two lie behind the box.
    """
    low, high = map(math.log, aspect_range)
    for _ in range(10):
        aspect = math.exp(rng.uniform(low, high))
        area = rng.uniform(*area_range) * height * width
        box_width, box_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < box_width <= width and 0 < box_height <= height:
            left = rng.randint(0, width - box_width)
            top = rng.randint(0, height - box_height)
            return left, top, left + box_width, top + box_height
    return None
