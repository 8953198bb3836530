"""Which length a sequence is padded to before the pyramid."""

# T length of a sequence


def padded_length(length, max_seq_len, divisors):
    """`max_seq_len` for what fits into it, else the next multiple of the largest of `divisors`."""
    if length <= max_seq_len:
        return max_seq_len
    step = max(divisors)
    return -(-length // step) * step


def minimal_length(length, max_seq_len, divisors, strides):
    """Shortest legal length at which the outputs are those of `padded_length`.

    All that reaches a valid position from the padding is its first column on each level (normalisation gives it a
    value before the next convolution sees it). So one padded column per level is enough, and none is needed where
    the length is already `max_seq_len`.
    """
    if length >= max_seq_len:
        return padded_length(length, max_seq_len, divisors)
    coarse, step = max(strides), max(divisors)
    needed = (-(-length // coarse) + 1) * coarse
    return min(max_seq_len, -(-needed // step) * step)
