"""Do the labels of a list say the same as the names of its files?  Lists go with class lists in another order."""

import logging
import re

from ..errors import some
from ..ops.names import class_key
from ..utils.logging import warn

logger = logging.getLogger(__name__)
LIMIT = 0.01  # of the files whose name says their class
_UCF101 = re.compile(r"^v_(.+)_g\d+_c\d+$")
_HMDB51 = re.compile(r"^(.+)_[a-z]_[a-z]{2}_np\d+_[a-z]{2}_[a-z]{3}_\d+$")


def check_labels(videos, what: str) -> None:
    """Compare the labels of a list with the classes that its files say: by their names in UCF101 and HMDB51, or folder.

    Args:
        videos: VideoList.
        what: the list, for messages.
    Raises:
        ValueError: more than one in a hundred of these files stand under another class.
    """
    keys = {class_key(name): label for label, name in enumerate(videos.classes)}
    told = [(video, label) for video in videos.videos if (label := _told(video.path, keys)) is not None]
    wrong = [(video, label) for video, label in told if video.label != label]
    if not wrong:
        return
    names = videos.classes
    examples = [f"{video.path.as_posix()} under {names[video.label]!r}" for video, _ in wrong]
    text = f"{what}: {len(wrong)} of {len(told)} files stand under another class than their names say: {some(examples)}"
    if len(wrong) <= LIMIT * len(told):
        warn(text, logger=logger)
        return
    cure = (
        "the classes are in another order than the list's: give that of the list, or `reference`, a list whose names "
    )
    cure += "of classes are right, such as dict(type='ucf101', ...)"
    if all(video.label == label + 1 for video, label in told):
        cure = "all labels are one too high, as they start at 1: give first_label=1 beside the list"
    raise ValueError(f"{text}; {cure}")


def _told(path, keys):
    """Label of the class that a file says it is of, or None."""
    if found := _UCF101.match(path.stem):
        return keys.get(class_key(found[1]))
    if found := _HMDB51.match(path.stem):
        words = found[1].split("_")  # the film, then the class: of "draw_sword" and "sword", the longer is meant
        return next((keys[key] for i in range(1, len(words)) if (key := class_key(" ".join(words[i:]))) in keys), None)
    return next((keys[key] for name in reversed(path.parts[:-1]) if (key := class_key(name)) in keys), None)
