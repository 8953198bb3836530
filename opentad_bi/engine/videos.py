"""Which videos a run learned from, in its folder and its checkpoints; a test on them is an error."""

import json
import zlib
from pathlib import Path

import torch

from ..ops.names import overlap
from ..utils.files import read_json, write_text
from ..utils.logging import LOGGER
from ..utils.weight_files import split_spec

FILE, KEY, FORMER = "videos.json", "videos", "former"
_MOST = 1 << 28  # bytes of a record


def video_record(datasets, former):
    """What `run_state` keeps: {"videos": uint8 tensor}, compressed JSON of {split: set, "former": sets}, or {}.

    Args:
        datasets: {split: dataset}; those with `drawn()` are kept, see `ops.video_sets`.
        former: sets that the weights a run started from had been learned from.
    """
    sets = {split: dataset.drawn() for split, dataset in datasets.items() if hasattr(dataset, "drawn")}
    if not sets and not former:
        return {}
    text = json.dumps({**sets, FORMER: former}).encode()
    return {KEY: torch.frombuffer(bytearray(zlib.compress(text)), dtype=torch.uint8)}


def read_record(content):
    """{split: set, "former": sets} of the content of a checkpoint; {} where it has none, or none that can be read."""
    packed = content.get(KEY)
    if not isinstance(packed, torch.Tensor) or packed.dtype != torch.uint8:
        return {}
    try:
        return json.loads(zlib.decompressobj().decompress(packed.numpy().tobytes(), _MOST))
    except (zlib.error, ValueError) as error:
        LOGGER.warning("the record of the videos that were learned from cannot be read: %s", error)
        return {}


def trained_sets(content):
    """The sets that the content of a checkpoint was learned from, those of the runs before it among them."""
    return _learned(read_record(content))


def _learned(record):
    return [record[name] for name in ("train",) if name in record] + record.get(FORMER, [])


def write_videos(folder, content):
    """Write the record as `videos.json`, one video a line."""
    record = read_record(content)
    if not record:
        return
    sets = {split: own for split, own in record.items() if split != FORMER}
    parts = []
    for split, own in sets.items():
        rows = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in own["videos"])
        about = json.dumps({"root": own["root"], "split": own["split"]}, ensure_ascii=False)[1:-1]
        parts.append(f'{json.dumps(split)}: {{{about}, "videos": [\n{rows}\n]}}')
    former = f'"{FORMER}": {json.dumps(record[FORMER], ensure_ascii=False)}'
    write_text(Path(folder) / FILE, "{" + ",\n".join([*parts, former]) + "}\n")


def check_overlap(content, spec, dataset, *, split, allow=False):
    """Compare the videos of `dataset` with those that a checkpoint was learned from.

    Args:
        content: of the checkpoint.
        spec: where it lies, "PATH" or "PATH:KEY"; one without a record may have the list of its run beside it.
        dataset: that is to be tested.
        split: its name in the config; a test of "train" is meant.
        allow: a warning will do.
    Raises:
        ValueError: it has videos of them, or is of another official split.
    """
    if not hasattr(dataset, "drawn"):
        return
    trained = trained_sets(content) or _beside(spec)
    if not trained:
        LOGGER.info("%s does not tell which videos it was learned from; they are not compared with those tested", spec)
        return
    tested = dataset.drawn()
    found = [text for own in trained if (text := overlap(own, tested))]
    if not found:
        return
    if allow or split == "train" or getattr(dataset, "allow_overlap", False):
        LOGGER.warning("%s, dataset.%s: %s", spec, split, found[0])
        return
    raise ValueError(
        f"{spec}, dataset.{split}: {found[0]}; a test needs videos that nothing was learned from. --allow_overlap, or "
        "allow_overlap=True for the config, tests all the same"
    )


def _beside(spec):
    """The sets in the list that the run of a checkpoint left, or []."""
    path = Path(split_spec(str(spec))[0])
    for folder in (path.parent, path.parent.parent):
        if (folder / FILE).is_file():
            return _learned(read_json(folder / FILE, "list of videos"))
    return []
