"""When two captions say the same."""

import hashlib


def caption_key(text):
    """What spellings of one caption have in common: lower case, single spaces, no dots at the end."""
    return " ".join(str(text).lower().split()).rstrip(". ")


def caption_number(text):
    """A number in int64 that is the same for captions of one `caption_key`, and in every process."""
    return int.from_bytes(hashlib.sha256(caption_key(text).encode()).digest()[:8], "big", signed=True)
