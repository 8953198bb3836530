"""The metric of retrieval: which caption belongs to which video, and to which region.

N queries and as many items, E width of the joint space
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...contracts import Metric
from ...ops.names import SINGLE, caption_number
from ...ops.records import CaptionFeatures
from ...registry import METRICS
from ...utils.files import write_json
from ...utils.validation import check_choice, check_count
from ..common.tables import aligned, percent

VIDEO, REGION = "video", "region"
_AT_ONCE = 1024  # queries compared with all items
_EQUAL = 1e-12  # what a sum of float64 products may be off by, for vectors of length 1, with the CPU and the place


def first_right(queries: np.ndarray, items: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Rank of the best item that is right for each query, from 1; wrong items that are as similar come before it.

    Args:
        queries, items: (N, E) of length 1, compared by inner products in float64; a query's right items are those
            with its number.
        numbers: (N,) int64.
    Returns:
        int64 (N,).
    """
    ranks = np.empty(len(queries), dtype=np.int64)
    queries, items = queries.astype(np.float64), items.astype(np.float64)
    for start in range(0, len(queries), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        similar = queries[part] @ items.T
        right = numbers[part, None] == numbers
        best = np.where(right, similar, -np.inf).max(axis=1, keepdims=True)
        ranks[part] = 1 + ((similar >= best - _EQUAL) & ~right).sum(axis=1)
    return ranks


def chance_level(numbers: np.ndarray, count: int) -> float:
    """Share of queries that have a right item among `count` of the N items at random.  int64 (N,) -> float"""
    _, which, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    total = len(numbers)
    missed = np.ones(len(sizes))
    for drawn in range(min(count, total)):
        missed *= np.clip(total - sizes - drawn, 0, None) / (total - drawn)
    return float((1 - missed)[which].mean())


@METRICS.register_module()
class CaptionRetrieval(Metric):
    """Recall of captions by videos and by regions, and the other way round (as CLIP's retrieval, over time).

    Captions that say the same (`caption_key`) are equally right. A number is called video_to_text_r1, text_to_region_r5
    and so on: the share of queries with a right item among their first 1 or 5; guess_video_r1 is the chance level.

    Args:
        ranks: up to which place an item counts, rising.
        select: "region" or "video": which of them `score` is about; where there is no region, video.
        scored: False: only take in results; then there is nothing to save either.
    Raises:
        ValueError: an argument is none of its choices.
    """

    def __init__(self, *, ranks: Sequence[int] = (1, 5), select: str = REGION, scored: bool = True) -> None:
        self.ranks = [check_count("ranks", rank) for rank in ranks]
        if not self.ranks or sorted(set(self.ranks)) != self.ranks:
            raise ValueError(f"ranks must be a rising list of whole numbers; got {ranks!r}")
        self.select = check_choice("select", select, (REGION, VIDEO))
        self.scored = scored
        self._found: dict[tuple[str, int], CaptionFeatures] = {}
        self._numbers: dict[str, float] | None = None

    def update(self, results: Sequence[CaptionFeatures]) -> None:
        """Take in a list of `ops.records.CaptionFeatures`; ValueError for a video that comes twice or is not finite."""
        self._numbers = None
        for result in results:
            if not isinstance(result, CaptionFeatures):
                raise ValueError(
                    f"captions are retrieved by CaptionFeatures, but the model predicts {type(result).__name__}; "
                    "dataset.test must be of captioned videos, such as a RegionVideoDataset"
                )
            key = (result.meta.video, result.meta.start)
            if key in self._found:
                raise ValueError(f"there are two results for video {key[0]!r}")
            for features in (result.video, result.text, result.regions, result.region_texts):
                if not np.isfinite(features).all():
                    raise ValueError(f"features of video {key[0]!r} are not all finite")
            self._found[key] = result

    def compute(self) -> dict[str, dict[str, float]]:
        """{"model": {"video_to_text_r1", ..., "videos": N, "regions": N}}; ValueError if there were no results."""
        if not self.scored:
            raise ValueError("this metric was built with scored=False, so it computes no numbers")
        if self._numbers is None:
            if not self._found:
                raise ValueError("there are no results to compute numbers from")
            results = [self._found[key] for key in sorted(self._found)]
            videos = ([r.video for r in results], [r.text for r in results], [r.caption for r in results])
            regions = ([x for r in results for x in r.regions], [x for r in results for x in r.region_texts],
                       [text for r in results for text in r.region_captions])  # fmt: skip
            self._numbers = {"videos": len(results), "regions": len(regions[2])}
            for name, parts in ((VIDEO, videos), (REGION, regions)):
                self._numbers |= self._recalls(name, *parts) if parts[2] else {}
        return {SINGLE: dict(self._numbers)}

    def score(self, metrics: dict[str, dict[str, float]]) -> float:
        """The number to select a checkpoint by: the mean of both directions at the first rank."""
        numbers, rank = metrics[SINGLE], self.ranks[0]
        name = self.select if f"guess_{self.select}_r{rank}" in numbers else VIDEO
        return (numbers[f"{name}_to_text_r{rank}"] + numbers[f"text_to_{name}_r{rank}"]) / 2

    def table(self, metrics: dict[str, dict[str, float]]) -> str:
        """Text table of what `compute` returned, in percent."""
        numbers = metrics[SINGLE]
        rows = [["retrieval", "queries", *(f"R@{rank}" for rank in self.ranks), *(f"chance@{r}" for r in self.ranks)]]
        for name in (VIDEO, REGION):
            chance = [f"guess_{name}_r{rank}" for rank in self.ranks]
            if chance[0] not in numbers:
                continue
            for way in (f"{name}_to_text", f"text_to_{name}"):
                shares = [numbers[f"{way}_r{rank}"] for rank in self.ranks] + [numbers[key] for key in chance]
                rows.append([way.replace("_", " "), str(numbers[f"{name}s"]), *map(percent, shares)])
        return aligned(rows)

    def save(self, folder: str | Path) -> None:
        """Write retrieval.json, if scored."""
        if self.scored:
            write_json(Path(folder) / "retrieval.json", self.compute()[SINGLE])

    def _recalls(self, name, seen, said, texts):
        """Numbers of N things and their texts."""
        seen, said = np.stack(seen), np.stack(said)
        numbers = np.array([caption_number(text) for text in texts], dtype=np.int64)
        ranks = {
            f"{name}_to_text": first_right(seen, said, numbers),
            f"text_to_{name}": first_right(said, seen, numbers),
        }
        found = {f"{way}_r{rank}": float((own <= rank).mean()) for way, own in ranks.items() for rank in self.ranks}
        return found | {f"guess_{name}_r{rank}": chance_level(numbers, rank) for rank in self.ranks}
