"""What the commands that make one file of features per video share."""

import json
from pathlib import Path

from ..utils.distributed import gather_objects, rank, world_size
from ..utils.records import FEATURE_RECORD


def feature_file(out, name):
    """Path of the features of one video, whatever dots are in its name."""
    return Path(out, f"{name}.npy")


def unfinished(videos, out, overwrite):
    """{name: path} of the videos of this process that lack their file; with `overwrite`, of all of them."""
    names = [name for name in videos if overwrite or not feature_file(out, name).is_file()]
    # one list for all: files appear while processes look
    names = gather_objects(names)[0]
    return {name: videos[name] for name in names[rank() :: world_size()]}


def check_out(videos, src, out, overwrite):
    """Refuse features among the videos, and files that no record tells of."""
    if out.resolve() == Path(src).resolve():
        raise ValueError(f"--out {out} is the folder of the videos; choose another")
    there = next((feature_file(out, name) for name in videos if feature_file(out, name).is_file()), None)
    if there and not overwrite and not (out / FEATURE_RECORD).is_file():
        raise ValueError(
            f"{there} is there, but no {FEATURE_RECORD} tells what made it; choose another --out, or make it again "
            "with --overwrite"
        )


def describe_clip(clip, **settings):
    """What features depend on, as it reads back from JSON: the CLIP model, and further settings."""
    own = {
        "weights_sha256": clip.digest,
        "model_config": clip.source.config,
        "quick_gelu": clip.quick_gelu,
        "embed_dim": clip.embed_dim,
        "preprocess": clip.preprocess,
    }
    return json.loads(json.dumps({**own, **settings}))


def names_of(clip):
    """What a record says of where the CLIP model came from."""
    return {"model": _found(clip.name), "pretrained": _found(clip.pretrained), "trained": clip.trained}


def _found(name):
    """The absolute path of a file that was named, for a record that is read from elsewhere; other names as they are."""
    return str(Path(name).resolve()) if name is not None and Path(name).is_file() else name
