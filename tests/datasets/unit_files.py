"""Class folders of small feature files whose every number says where it stands."""

import csv

import numpy as np


def numbers(video, rows, width=4):
    """(rows, width) float32 that float16 holds exactly; no two videos or rows are alike."""
    grid = np.arange(rows)[:, None] + np.arange(width)[None] / 2
    return (grid + 64 * video).astype(np.float32)


def write_classes(root, classes, *, dtype=np.float16, width=4):
    """Write {class: {video: rows}}; video n of all gets `numbers(n, rows)`.  Returns {video: its array}."""
    arrays = {}
    for name, videos in classes.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for video, rows in videos.items():
            arrays[video] = numbers(len(arrays), rows, width)
            np.save(root / name / f"{video}.npy", arrays[video].astype(dtype))
    return arrays


def write_events(path, *rows, header=("file_name", "start_time", "end_time")):
    """Write a CSV of events."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path
