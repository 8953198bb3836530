"""Pipeline steps: a dict in, the same dict with more or other entries out.

A dataset gives `video`, `data_path`, `file_format`, `fps`, `duration_sec`, `snippet_stride`, `sample_stride`,
`offset_frames`, `window_start_frame`, `sliding`, `rng`, and where there is ground truth `gt_segments` (N, 2) float32
on the grid and `gt_labels` (N,) int64; of a sliding window also `window_size`, `feature_start_idx` and
`feature_end_idx` (inclusive). Steps exchange `imgs` uint8 (T', H, W, 3), `feats` float32 (T, C), `masks` bool (T,).
All random numbers come from `rng`, a `random.Random`.

A dataset of classified videos gives `path`, `video`, `label` and `rng`. Its steps are `LoadClips` (to `imgs` uint8
(V_t * T, h, w, 3) and `clips`, (V_t, T)), `SpatialViews` (to `imgs` (V, T, S, S, 3)), `Augment` and `CollectClip`.
"""

from . import color as color
from . import compose as compose
from . import geometry as geometry
from . import img_aug as img_aug
