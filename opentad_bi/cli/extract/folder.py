"""A folder with one file of features per video: what made them, which are missing, and which are of replaced videos."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.common.feature_files import feature_path, replaced_sources, source_record
from ...engine.extract import Gathered, in_dtype
from ...utils.distributed import gather_objects, rank, world_size
from ...utils.files import atomic, write_json
from ...utils.logging import LOGGER
from ...utils.provenance import FEATURE_RECORD, check_record, named, source_stamp, write_records


class FeatureFolder:
    """OUT/KIND/NAME.npy of every video and kind, and NAME.json beside each: facts, and the stamp of the video.

    Finished files are kept, so that the same command resumes an extraction that was interrupted.

    Args:
        out: the folder.
        sources: {name: video file}; of other videos no stamp is kept.
        kinds: folders below `out`, such as directions; "" is `out` itself.
        dtype: of the files, "float32" or "float16".
        overwrite: make files again that are there.
    """

    def __init__(
        self,
        out: Path,
        sources: Mapping[str, Path],
        *,
        kinds: Sequence[str] = ("",),
        dtype: str = "float32",
        overwrite: bool = False,
    ) -> None:
        self.out, self.sources, self.kinds = out, sources, kinds
        self.dtype, self.overwrite = dtype, overwrite
        self.records: dict[str | Path, dict[Any, Any]] = {}
        self.replaced: set[str] = set()

    def path(self, kind: str, name: str) -> Path:
        """The file of a video."""
        return feature_path(self.out / kind, name)

    def refuse_videos(self, names: Iterable[str], src: Path) -> None:
        """ValueError for features among the videos in `src`, and for files of features without a record."""
        if self.out.resolve() == src.resolve():
            raise ValueError(f"--out {self.out} is the folder of the videos; choose another")
        there = next((path for name in names if (path := self.path("", name)).is_file()), None)
        if there and not self.overwrite and not (self.out / FEATURE_RECORD).is_file():
            raise ValueError(
                f"{there} is there, but no {FEATURE_RECORD} says what made it; choose another --out, or make it again "
                "with --overwrite"
            )

    def begin(self, file: str, settings: dict[str, Any], about: dict[str, Any], **form: Any) -> dict[str, Any]:
        """Compare one record with what made the files that are there.

        Args:
            file: the record's name.
            settings: what the files depend on.
            about: what else the record says.
            form: `part` and `defaults` of `check_record`.
        Raises:
            ValueError: files of other settings, which are named.
        """
        settings = json.loads(json.dumps(settings))
        check_record(self.out / file, settings, overwrite=self.overwrite, **form)
        self.records[self.out / file] = about | ({form["part"]: settings} if "part" in form else settings)
        return settings

    def todo(self, names: Iterable[str]) -> list[str]:
        """Videos of this process that miss a file, or whose files are of a video that was replaced since."""
        names = list(names)
        write_records(self.records, complete=False, overwrites=self.overwrite)
        if not self.overwrite:
            self.replaced = self._replaced()
        # the lists of one process for all: files appear while processes look, and file systems show each its own state
        done = {name for name in names if all(self.path(kind, name).is_file() for kind in self.kinds)}
        left = [name for name in names if self.overwrite or name in self.replaced or name not in done]
        left, self.replaced = gather_objects((left, self.replaced))[0]
        return left[rank() :: world_size()]

    def save(self, name: str, video: Gathered) -> None:
        """Write the files of a video that are missing or to be made again.

        The array comes last, as it says that both are there; one of a replaced video goes first, as it is not what the
        new stamp says.
        """
        arrays, facts = video.finish()
        if name in self.sources:
            facts["source"] = source_stamp(self.sources[name])
        for kind, array in arrays.items():
            path, kept = self.path(kind, name), in_dtype(array, self.dtype, name)
            if name in self.replaced:
                path.unlink(missing_ok=True)
            elif path.is_file() and not self.overwrite:
                continue
            if facts:
                write_json(source_record(path), facts)
            with atomic(path) as temporary:
                np.save(temporary, kept)

    def end(self, videos: int, failed: dict[str, str] | None = None) -> dict[str, str]:
        """Complete the records; logs the videos that could not be read.

        Args:
            videos: number of all videos.
            failed: {name: what is wrong} of this process; None: the records have no place for them.
        Returns:
            {name: what is wrong} of all processes.
        """
        everything = {name: text for part in gather_objects(failed or {}) for name, text in part.items()}
        state = {} if failed is None else {"failed": everything}
        write_records(self.records, complete=not everything, overwrites=False, **state)
        LOGGER.info("%s: %d videos, %d of them could not be read", self.out, videos, len(everything))
        for name, text in everything.items():
            LOGGER.error("%s: %s", name, text)
        return everything

    def _replaced(self):
        """Names of the videos that are others than those whose features are there; a warning says which."""
        found, kept = {}, 0
        for kind in self.kinds:
            paths = {name: self.path(kind, name) for name in self.sources}
            paths = {name: path for name, path in paths.items() if path.is_file()}
            kept = max(kept, len(paths))
            found |= replaced_sources(paths, self.sources)
        if found:
            text = "%s: %d of %d videos were replaced since their features were made, which are made again: %s"
            LOGGER.warning(text, self.out, len(found), kept, named(found))
        return set(found)
