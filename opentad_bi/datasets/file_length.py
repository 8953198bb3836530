"""Frames and seconds of a video, from its file, for annotation that does not say them."""

from functools import lru_cache

from .feature_files import feature_shape
from .readers import find_video, open_video
from .transforms.features import LoadFeats
from .transforms.load_frames import LoadFrames
from .transforms.window_features import LoadWindowFeats
from .window_files import open_windows


def with_length(name, entry, *, steps, data_path, file_format, feature_stride):
    """The entry of a video with `frame` and `duration`, from the files of the video where it lacks them.

    Args:
        name: of the video.
        entry: see `utils.annotation.read_database`.
        steps: of the pipeline; the first one that loads frames or features says which files to look into.
        data_path, file_format, feature_stride: of the dataset.
    Raises:
        ValueError, FileNotFoundError: what is missing in the entry, and why the files do not say it.
    """
    missing = [key for key in ("duration", "frame") if key not in entry]
    if not missing:
        return entry
    wanted = "needs duration, and one of frame, duration_frame and fps"
    try:
        frames, fps = _length(name, steps, data_path, file_format, feature_stride)
    except (OSError, ValueError, ImportError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"{' and '.join(missing)} missing ({wanted}), and not to be had from the file: {error}") from error
    if frames is None or ("duration" in missing and not fps):
        raise ValueError(f"{' and '.join(missing)} missing ({wanted})")
    found = {"frame": frames, "duration": frames / fps if fps else None}
    return {**entry, **{key: found[key] for key in missing}}


def _length(name, steps, data_path, file_format, feature_stride):
    """Frames, and frames per second or None, of a video; (None, None) where no step loads files."""
    for step in steps:
        if isinstance(step, LoadFrames):
            path = find_video(data_path, name, file_format)
            status = path.stat()
            return _of_video(path, step.reader, step.num_threads, (status.st_mtime_ns, status.st_size))
        if isinstance(step, LoadFeats):
            return max(feature_shape(path)[0] for path in step.paths(data_path, name)) * feature_stride, None
        if isinstance(step, LoadWindowFeats):
            file = open_windows(step.paths(data_path, name)[0])
            return max(s + v for s, v in zip(file.starts, file.valid, strict=True)) * feature_stride, None
    return None, None


@lru_cache(maxsize=1 << 16)
def _of_video(path, reader, num_threads, _stamp):
    """Frames and frames per second of a file as it is; kept, as the check and every set of the run ask for them."""
    with open_video(path, reader, num_threads) as opened:
        return len(opened), opened.fps
