"""CLIP features of the clips that the datasets of a config give: DIR/<name>.npy, (views, frames, channels).

V views, T frames of a view, S side in pixels, E width
"""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..config import load_config, parse_overrides
from ..datasets.common.feature_files import feature_path
from ..datasets.readers.base import VideoError
from ..datasets.video_prompts.dataset import VideoFolder
from ..datasets.video_prompts.features import FAILED, NoDraws, difference, pipeline_settings
from ..engine.data import build_dataset
from ..engine.inference import in_dtype
from ..models.clip.loading import load_clip
from ..models.clip.preprocess import FrameEncoder
from ..registry import nearest
from ..utils.annotation import read_block_list
from ..utils.distributed import close_distributed, is_main, setup_distributed
from ..utils.files import write_text
from ..utils.logging import LOGGER, setup_logging
from ._feature_files import check_out, make_features, write_features
from .common import make_writable

ALL = "all"


class Clips(Dataset):
    """Clips of datasets, as (name, uint8 (V, T, 3, S, S), "") or (name, None, what is wrong with the video).

    Args:
        places: {name: (dataset, index)}.
    """

    def __init__(self, places):
        self.places = list(places.items())

    def __len__(self):
        return len(self.places)

    def __getitem__(self, number):
        name, (dataset, index) = self.places[number]
        try:
            return name, dataset.clip(index, NoDraws())["inputs"], ""
        except (VideoError, OSError) as error:
            return name, None, str(error)


def datasets_of(cfg, split):
    """{split: dataset} of one split of a config, or of all, without mixes and features.

    Raises:
        KeyError: no such split.
        ValueError: one that is no `VideoFolder`, augments, or has another pipeline than the first.
    """
    names = [name for name in cfg.dataset if name != "wrap"]
    if split != ALL and split not in names:
        raise KeyError(f"--split {split!r}: the config has no such split; {nearest(split, [*names, ALL], every=True)}")
    plain, found, first = cfg.dataset.to_dict(), {}, None
    for name in names if split == ALL else [split]:
        if plain[name].get("type") != VideoFolder.__name__ or "wrap" in plain:
            kind = plain.get("wrap", plain[name]).get("type")
            raise ValueError(f"dataset.{name} is a {kind}; features of clips are made of a {VideoFolder.__name__}")
        plain[name] |= {"mix": None, "features": None}
        found[name] = build_dataset(plain, name)
        settings = pipeline_settings(found[name].pipeline)
        first = first or (name, settings)
        if differ := difference(first[1], settings):
            raise ValueError(
                f"dataset.{first[0]} has {differ[0]}, but dataset.{name} has {differ[1]}; choose one --split, or give "
                "them one pipeline"
            )
    return found


def places_of(datasets):
    """{name: (dataset, index)} of all videos, each once; ValueError for two files of one name."""
    places = {}
    for dataset in datasets:
        for index, (name, video) in enumerate(zip(dataset.videos, dataset.listed.videos, strict=True)):
            other, number = places.setdefault(name, (dataset, index))
            if other.root / other.listed.videos[number].path != dataset.root / video.path:
                raise ValueError(f"the videos {name!r} of {other.root} and {dataset.root} would have the same features")
    return places


def video_of(place):
    """The video file of one of `places_of`."""
    dataset, index = place
    return dataset.root / dataset.listed.videos[index].path


def extract(encode, clips, save, *, batch_size, workers):
    """Encode every clip and `save(name, features)`.

    Args:
        encode: a `FrameEncoder`.
        clips: `Clips`.
        save: called with a name and float32 (V, T, E).
        batch_size: frames per pass.
        workers: processes that decode.
    Returns:
        {name: what is wrong} of the videos that could not be read.
    """
    failed = {}
    loader = DataLoader(clips, batch_size=None, num_workers=min(workers, len(clips)), generator=torch.Generator())
    for name, inputs, error in tqdm(loader, desc="extract", unit="video", disable=not is_main()):
        if error:
            failed[name] = error
            LOGGER.warning("%s", error)
            continue
        if inputs.shape[-2:] != encode.prepare.size:
            raise ValueError(
                f"the pipeline makes frames of {tuple(inputs.shape[-2:])} pixels, the image tower takes "
                f"{encode.prepare.size}; give image_size that of the tower"
            )
        parts = [encode(frames) for frames in inputs.flatten(0, 1).split(batch_size)]
        save(name, np.concatenate(parts).reshape(*inputs.shape[:2], -1))
    return failed


def save_into(out, dtype, source_of):
    """A function that writes the features of a video and what they came from; `source_of` a name is its video."""

    def save(name, features):
        write_features(feature_path(out, name), in_dtype(features, dtype, name), source_of(name))

    return save


def write_failed(out, places, failed):
    """Keep the names of videos that could not be read in a block list, `out`/failed.txt, or remove it if there is none.

    Args:
        places: names of all videos of this run; of others, what the file says stays until they have features.
        failed: names of those that could not be read.
    """
    path = out / FAILED
    former = read_block_list(str(path)) if path.is_file() else ()
    others = {name for name in former if name not in places and not feature_path(out, name).is_file()}
    if names := sorted(others.union(failed)):
        write_text(path, "".join(f"{name}\n" for name in names))
    else:
        path.unlink(missing_ok=True)


def run_config(args):
    """Extract the features of the clips of a config; returns 0, or 1 if a video could not be read."""
    cfg, out = load_config(args.config, parse_overrides(args.cfg_options)), Path(args.out)
    if "clip" not in cfg.model:
        raise ValueError(f"model {cfg.model.get('type')!r} of {args.config} names no `clip`, whose features are made")
    device = setup_distributed(args.device)
    try:
        setup_logging()
        datasets = datasets_of(cfg, args.split or ALL)
        places = places_of(datasets.values())
        for dataset in datasets.values():
            check_out(places, dataset.root, out, args.overwrite)
        make_writable(out, "--out")
        torch.manual_seed(args.seed)
        clip = load_clip(**cfg.model.clip)
        settings = {"precision": args.precision or "fp32", "dtype": args.dtype or "float32"}
        settings["pipeline"] = pipeline_settings(next(iter(datasets.values())).pipeline)

        def work(todo, cast):
            encode = FrameEncoder(clip, device, cast, normalised=False)
            save = save_into(out, settings["dtype"], lambda name: video_of(todo[name]))
            encode.prepare.check_resizing(next(iter(datasets.values())).resizing, clip.name)
            return extract(encode, Clips(todo), save, batch_size=args.batch_size, workers=args.num_workers)

        shared = {"clip": clip, "device": device, "overwrite": args.overwrite, "source_of": video_of}
        failed = make_features(out, places, work, settings=settings, **shared)
        if is_main():
            write_failed(out, places, failed)
        if failed:
            LOGGER.error("to leave them out: --cfg-options block_list=%s", out / FAILED)
        return 1 if failed else 0
    finally:
        close_distributed()
