"""How many frames a video has, as lists say it, and whether rows of features are as long as `frames_per_row` says."""

from collections.abc import Mapping
from pathlib import Path

from ..ops.names import bare_name
from ..utils.files import read_json

# R feature rows of one video

COUNT_KEYS = ("n_frames", "num_frames", "frames", "frame", "frames_count")
MISMATCH = 0.05  # share by which rows may be longer or shorter than their videos say
CHANCE = 0.01  # of calling rows too long that are right, if events ended anywhere in their videos
# (videos, frames of their events): frames of all of them, in official test sets
OFFICIAL = {(290, 84189): ("UCF-Crime", 36920 * 30)}


def read_frame_counts(path: str | Path) -> dict[str, int]:
    """Read numbers of frames from a JSON file: {video: frames}, or {video: {"n_frames": frames, ...}}.

    Returns:
        {name without folder and extension: frames}.
    Raises:
        FileNotFoundError, ValueError: naming the file, the video and its value.
    """
    content = read_json(path, "frame_counts")
    if not isinstance(content, dict) or not content:
        raise ValueError(f"frame_counts {path} must hold an object {{video: frames}}")
    found = {}
    for video, value in content.items():
        if isinstance(value, dict):
            value = next((value[key] for key in COUNT_KEYS if key in value), None)
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value % 1 == 0  # 900.0 is
        if not whole or value < 1:
            hint = f"a whole number, alone or as one of {', '.join(COUNT_KEYS)}, is expected"
            raise ValueError(f"frame_counts {path}: the frames of video {video!r} are {value!r}; {hint}")
        found[bare_name(video)] = int(value)
    return found


def last_rows(lengths: Mapping[str, tuple[int, int]], frames_per_row: int) -> str:
    """What was done with the frames that make no whole row, over videos whose frames are known; "" if none has any.

    Args:
        lengths: {video: (rows, frames)}.
    """
    partial = [(rows, frames) for rows, frames in lengths.values() if frames and frames % frames_per_row]
    kept = sum(rows * frames_per_row > frames for rows, frames in partial)
    if not partial:
        return ""
    return (
        f"the last row stands for fewer frames in {kept} videos (keep) and was left out in {len(partial) - kept} (drop)"
    )


def fitting_rows(
    rows: Mapping[str, int], events: Mapping[str, tuple], truth: Mapping[str, object], frames_per_row: int
) -> str:
    """What tells that rows are shorter than `frames_per_row`, where the frames of videos are not known; "" if nothing.

    Rows that are longer show by events beyond the end of their videos.

    Args:
        rows: {video: R} of the videos whose frames are not known.
        events: {video: pairs of frames} of the same.
        truth: all of the annotation, {video: `VideoEvents`}.
    """
    anomalous = sum(end - start for of in truth.values() for start, end in of.events)
    official = OFFICIAL.get((len(truth), anomalous))
    if official and set(truth) <= set(rows):
        name, frames = official
        implied = sum(rows[video] for video in truth) * frames_per_row
        if abs(frames / implied - 1) > MISMATCH:
            share = [f"{100 * anomalous / count:.1f} %" for count in (implied, frames)]
            told = f"{share[0]} of the frames are anomalous, but {share[1]} of the official test set of {name}"
            return _told(told, frames_per_row, frames / implied)
        return ""
    reach = [max(end for _, end in own) / (rows[video] * frames_per_row) for video, own in events.items() if own]
    if not reach or max(reach) >= min(1 - MISMATCH, CHANCE ** (1 / len(reach))):
        return ""
    told = (
        f"in none of {len(reach)} videos with events does the last one end beyond {100 * max(reach):.0f} % of the video"
    )
    return _told(told, frames_per_row, max(reach))


def _told(told, frames_per_row, factor):
    fit = frames_per_row * factor
    return (
        f"the rows seem not to be {frames_per_row} frames long: {told}; frames_per_row={max(1, round(fit))} would fit "
        "(numbers against events at wrong times mean nothing)"
    )
