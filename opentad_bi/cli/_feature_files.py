"""What the commands that make one file of features per video share."""

import json
from pathlib import Path

import numpy as np

from ..datasets.common.feature_files import feature_path, replaced_sources, source_record
from ..engine.runner import autocast, precision
from ..utils.distributed import gather_objects, rank, world_size
from ..utils.files import atomic, write_json
from ..utils.logging import LOGGER
from ..utils.provenance import FEATURE_RECORD, check_record, named, source_stamp, write_records


def check_out(videos, src, out, overwrite):
    """Refuse features among the videos, and files that no record tells of."""
    if out.resolve() == Path(src).resolve():
        raise ValueError(f"--out {out} is the folder of the videos; choose another")
    there = next((feature_path(out, name) for name in videos if feature_path(out, name).is_file()), None)
    if there and not overwrite and not (out / FEATURE_RECORD).is_file():
        raise ValueError(
            f"{there} is there, but no {FEATURE_RECORD} tells what made it; choose another --out, or make it again "
            "with --overwrite"
        )


def write_features(path, features, source, facts=None):
    """Write the array of a video's features and, beside it, `facts` and the stamp of its file `source`.

    The array comes last, as it tells of both, and a former one goes first: it is not what the new stamp says.
    """
    path.unlink(missing_ok=True)
    write_json(source_record(path), {**(facts or {}), "source": source_stamp(source)})
    with atomic(path) as temporary:
        np.save(temporary, features)


def make_features(out, videos, extract, *, clip, device, overwrite, settings, source_of=Path):
    """Extract the features of the videos that lack them or were replaced, and keep the record of what made them.

    Args:
        out: folder of the features.
        videos: {name: what they are made of}.
        extract: (those of `videos` that this process has to do, autocast of the network) -> {name: what is wrong} of
            those that could not be read.
        clip: the `CLIPModel`.
        device: where to run.
        overwrite: make files again that are there.
        settings: what else features depend on; "precision" is that of the network.
        source_of: what `videos` hold -> the video file.
    Returns:
        {name: what is wrong} of the videos of all processes that could not be read.
    """
    sources = {name: source_of(video) for name, video in videos.items()}
    settings = _describe(clip, **settings)
    check_record(out / FEATURE_RECORD, settings, overwrite=overwrite)
    record, amp = {out / FEATURE_RECORD: {**_names(clip), **settings}}, settings["precision"]
    todo = _unfinished(videos, sources, out, overwrite)
    write_records(record, complete=False, overwrites=overwrite)
    failed = extract(todo, autocast(device, precision(None if amp == "fp32" else amp)))
    failed = {name: text for part in gather_objects(failed) for name, text in part.items()}
    write_records(record, complete=not failed, overwrites=False, failed=failed)
    LOGGER.info("%s: %d videos, %d of them could not be read", out, len(videos), len(failed))
    for name, text in failed.items():
        LOGGER.error("%s: %s", name, text)
    return failed


def _unfinished(videos, sources, out, overwrite):
    """{name: what it is made of} of the videos of this process that have no features, or those of another video.

    Args:
        videos, out, overwrite: see `make_features`.
        sources: {name: video file}.
    """
    kept = {name: feature_path(out, name) for name in videos}
    kept = {name: path for name, path in kept.items() if not overwrite and path.is_file()}
    replaced = replaced_sources(kept, sources)
    if replaced:
        LOGGER.warning(
            "%s: %d of %d files of features are of videos that were replaced since, and are made anew: %s",
            out,
            len(replaced),
            len(kept),
            named(replaced),
        )
    # one list for all: files appear while processes look
    names = gather_objects([name for name in videos if name not in kept or name in replaced])[0]
    return {name: videos[name] for name in names[rank() :: world_size()]}


def _describe(clip, **settings):
    """What features depend on, as it reads back from JSON: the CLIP model, and further settings."""
    own = {
        "weights_sha256": clip.digest,
        "model_config": clip.source.config,
        "quick_gelu": clip.quick_gelu,
        "embed_dim": clip.embed_dim,
        "preprocess": clip.preprocess,
    }
    return json.loads(json.dumps({**own, **settings}))


def _names(clip):
    """What a record says of where the CLIP model came from."""
    return {"model": _found(clip.name), "pretrained": _found(clip.pretrained), "trained": clip.trained}


def _found(name):
    """The absolute path of a file that was named, for a record that is read from elsewhere; other names as they are."""
    return str(Path(name).resolve()) if name is not None and Path(name).is_file() else name
