"""CLIP features of the seconds of videos, and of the clips that the datasets of a config give.

V views, T frames of a view, N frames of a batch, S side in pixels, R seconds, E width
"""

import copy
from argparse import Namespace
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ...config import load_config, parse_overrides
from ...datasets.common.feature_files import feature_path
from ...datasets.common.stream import SecondFrames, batches_ahead
from ...datasets.readers.base import VideoError
from ...datasets.video_prompts.dataset import VideoFolder
from ...datasets.video_prompts.features import FAILED, NoRandomness, difference, pipeline_settings
from ...engine.data import build_dataset
from ...engine.extract import Arrays, Piece, Whole, extract
from ...engine.runner import autocast, precision
from ...models.clip.preprocess import load_frame_encoder
from ...ops.windows import SecondMeans
from ...registry import READERS, nearest
from ...utils.annotation import read_block_list
from ...utils.distributed import is_main
from ...utils.files import write_text
from ...utils.logging import LOGGER
from ...utils.provenance import FEATURE_RECORD
from ..common import make_writable
from .folder import FeatureFolder

POOLING = "mean of the L2-normalised image embeddings of the frames that appear in each second"
ALL = "all"
Encode = Callable[[torch.Tensor], np.ndarray]  # uint8 (N, 3, S, S) -> float32 (N, E)


def of_videos(args: Namespace, device: torch.device, videos: Mapping[str, Path]) -> dict[str, str]:
    """Features of the seconds of videos.  Returns {name: what is wrong} of the videos that could not be read."""
    options = {"frames_per_second": args.frames_per_second, "reader": args.reader or "pyav"}
    READERS.find(options["reader"])
    folder = FeatureFolder(Path(args.out), videos, dtype=args.dtype or "float16", overwrite=args.overwrite)
    folder.refuse_videos(videos, Path(args.src))
    amp = args.precision or ("fp16" if device.type == "cuda" else "fp32")
    model = {"model": args.model, "pretrained": args.pretrained, "quick_gelu": args.quick_gelu}
    clip, encode = _load(args, device, amp, **model)
    kept = {"precision": amp, "dtype": folder.dtype, "unit_sec": 1, "pooling": POOLING}
    folder.begin(FEATURE_RECORD, {**_describe(clip), **options, **kept}, _origin(clip))
    todo = folder.todo(videos)
    resize = copy.deepcopy(encode.prepare).cpu().resize  # for processes that decode
    frames = SecondFrames([videos[name] for name in todo], resize, batch_size=args.batch_size, **options)
    pieces = second_pieces(encode, frames, todo, args.num_workers)
    return folder.end(len(videos), extract(pieces, Seconds, folder.save, total=len(todo)))


def of_config(args: Namespace, device: torch.device) -> dict[str, str]:
    """Make the features of the clips of a config; arguments and what it returns: see `of_videos`."""
    cfg, out = load_config(args.config, parse_overrides(args.cfg_options)), Path(args.out)
    if "clip" not in cfg.model:
        raise ValueError(f"model {cfg.model.get('type')!r} of {args.config} names no `clip`, whose features are made")
    datasets = datasets_of(cfg, args.split or ALL)
    places = places_of(datasets.values())
    videos = {name: dataset.root / dataset.listed.videos[index].path for name, (dataset, index) in places.items()}
    folder = FeatureFolder(out, videos, dtype=args.dtype or "float32", overwrite=args.overwrite)
    for dataset in datasets.values():
        folder.refuse_videos(places, dataset.root)
    first, amp = next(iter(datasets.values())), args.precision or "fp32"
    clip, encode = _load(args, device, amp, normalised=False, **cfg.model.clip)
    kept = {"precision": amp, "dtype": folder.dtype, "pipeline": pipeline_settings(first.pipeline)}
    folder.begin(FEATURE_RECORD, {**_describe(clip), **kept}, _origin(clip))
    todo = folder.todo(places)
    encode.prepare.check_resizing(first.resizing, clip.name)
    clips = Clips({name: places[name] for name in todo})
    pieces = clip_pieces(encode, encode.prepare.size, clips, batch_size=args.batch_size, workers=args.num_workers)
    failed = folder.end(len(videos), extract(pieces, Whole, folder.save, total=len(todo)))
    if is_main():
        write_failed(out, places, failed)
    if failed:
        LOGGER.error("to leave them out: --cfg-options block_list=%s", out / FAILED)
    return failed


def _load(args, device, amp, **options):
    """A `CLIPModel` and its `FrameEncoder`."""
    make_writable(args.out, "--out")
    torch.manual_seed(args.seed)
    return load_frame_encoder(device, autocast(device, precision(None if amp == "fp32" else amp)), **options)


def _describe(clip):
    """What features depend on of a CLIP model."""
    return {
        "weights_sha256": clip.digest,
        "model_config": clip.source.config,
        "quick_gelu": clip.quick_gelu,
        "embed_dim": clip.embed_dim,
        "preprocess": clip.preprocess,
    }


def _origin(clip):
    """What a record says of where a CLIP model came from; of files their absolute paths, as it is read elsewhere."""
    names = {"model": clip.name, "pretrained": clip.pretrained}
    found = {
        key: str(Path(name).resolve()) if name is not None and Path(name).is_file() else name
        for key, name in names.items()
    }
    return {**found, "trained": clip.trained}


class Seconds:
    """(R, E): the mean of the frames of each second of a video."""

    means: SecondMeans | None = None

    def add(self, piece: Piece) -> None:
        """Take in a batch of frames; the place of the piece is the second of each."""
        features = piece.arrays[""]
        if self.means is None:
            self.means = SecondMeans(piece.facts["rows"], features.shape[1])
        self.means.add(features, piece.place)
        self.facts = dict(piece.facts)

    def finish(self) -> tuple[Arrays, dict[str, Any]]:
        """The means, and the facts of the video."""
        assert self.means is not None  # a video is finished by a piece of it
        return {"": self.means.means()}, self.facts


def second_pieces(encode: Encode, frames: SecondFrames, names: list[str], workers: int = 0) -> Iterator[Piece]:
    """Features of the frames of videos, a batch at a time.

    Args:
        encode: images of a batch -> float32 (N, E) array.
        names: name of each of them.
    """
    with batches_ahead(frames, min(workers, len(names))) as batches:
        for batch in batches:
            arrays = {} if batch.images is None else {"": encode(batch.images)}
            yield Piece(names[batch.video], arrays, batch.last, batch.seconds, batch.facts, batch.error)


def clip_pieces(
    encode: Encode, size: tuple[int, int], clips: "Clips", *, batch_size: int, workers: int = 0
) -> Iterator[Piece]:
    """Features of the frames of clips, a video at a time: float32 (V, T, E).

    Args:
        encode: frames -> float32 (N, E) array.
        size: of the frames that it takes.
        batch_size: frames per pass.
    Raises:
        ValueError: frames of another size.
    """
    loader: DataLoader = DataLoader(
        clips, batch_size=None, num_workers=min(workers, len(clips)), generator=torch.Generator()
    )
    for name, inputs, error in loader:
        if error:
            yield Piece(name, error=error)
            continue
        if inputs.shape[-2:] != size:
            raise ValueError(
                f"the pipeline makes frames of {tuple(inputs.shape[-2:])} pixels, the image tower takes {size}; give "
                "image_size that of the tower"
            )
        parts = [encode(frames) for frames in inputs.flatten(0, 1).split(batch_size)]
        yield Piece(name, {"": np.concatenate(parts).reshape(*inputs.shape[:2], -1)})


class Clips(Dataset):
    """Clips of datasets, as (name, uint8 (V, T, 3, S, S), "") or (name, None, what is wrong with the video).

    Args:
        places: {name: (dataset, index)}.
    """

    def __init__(self, places: Mapping[str, tuple[Any, int]]) -> None:
        self.places = list(places.items())

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> tuple[str, torch.Tensor | None, str]:
        name, (dataset, index) = self.places[number]
        try:
            return name, dataset.clip(index, NoRandomness())["inputs"], ""
        except (VideoError, OSError) as error:
            return name, None, str(error)


def datasets_of(cfg: Any, split: str) -> dict[str, Any]:
    """{split: dataset} of one split of a config, or of all, without mixes and features.

    Raises:
        KeyError: no such split.
        ValueError: one that is not a `VideoFolder`, augments, or has another pipeline than the first.
    """
    names = [name for name in cfg.dataset if name != "wrap"]
    if split != ALL and split not in names:
        raise KeyError(f"--split {split!r}: the config has no such split; {nearest(split, [*names, ALL], every=True)}")
    plain, first = cfg.dataset.to_dict(), None
    found: dict[str, Any] = {}
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


def places_of(datasets: Iterable[Any]) -> dict[str, tuple[Any, int]]:
    """{name: (dataset, index)} of all videos, each once; ValueError for two files of one name."""
    places: dict[str, tuple[Any, int]] = {}
    for dataset in datasets:
        for index, (name, video) in enumerate(zip(dataset.videos, dataset.listed.videos, strict=True)):
            other, number = places.setdefault(name, (dataset, index))
            if other.root / other.listed.videos[number].path != dataset.root / video.path:
                raise ValueError(f"the videos {name!r} of {other.root} and {dataset.root} would have the same features")
    return places


def write_failed(out: Path, places: Collection[str], failed: Iterable[str]) -> None:
    """Keep the names of videos that could not be read in a block list, `out`/failed.txt, or remove it if there is none.

    Args:
        places: names of all videos of this run; of others, what the file says stays until they have features.
        failed: names of those that could not be read.
    """
    path = out / FAILED
    listed = read_block_list(str(path)) if path.is_file() else ()
    others = {name for name in listed if name not in places and not feature_path(out, name).is_file()}
    if names := sorted(others.union(failed)):
        write_text(path, "".join(f"{name}\n" for name in names))
    else:
        path.unlink(missing_ok=True)
