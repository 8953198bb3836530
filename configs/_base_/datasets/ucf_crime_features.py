# UCF-Crime as per-second features of an image tower: class folders of .npy files (rows, width), one row per second.
# tools/extract_clip_features.py makes them, tools/prepare/ucf_crime.py lays them out.
data_root = "data/ucf_crime_features"
feature_dir = "${data_root}/train"
val_feature_dir = "${data_root}/test"
annotation_dir = None  # CSV files of the events in training videos; the official set has none
frame_annotation = "${data_root}/Temporal_Anomaly_Annotation.txt"
forbid_list = "${data_root}/test_videos.txt"  # never trained on; None: there is no such list
fps = 30  # of all videos
frames_per_row = 30  # video frames that a row stands for
unit_duration = 1  # rows of a sample
normal_class = "Normal"
class_names = [
    "Normal",
    "Abuse",
    "Arrest",
    "Arson",
    "Assault",
    "Burglary",
    "Explosion",
    "Fighting",
    "RoadAccidents",
    "Robbery",
    "Shooting",
    "Shoplifting",
    "Stealing",
    "Vandalism",
]
allow_missing = False  # may a class have no folder?
allow_overlap = False  # True: test all the same on videos that were learned from
crop_separator = None  # "__" or "_" where files are crops of a video: NAME__0.npy to NAME__9.npy
crop = None  # of files (rows, crops, width): which crop is taken; None: their mean
video_root = None  # folder of the videos, whose lengths the rows are compared with; None: there is none
frame_counts = None  # JSON file {video: frames}, which the rows of tests are compared with
last_row = "either"  # of frames that make no whole row: "keep", "drop" or "either"

feature_set = dict(
    type="VideoFeatureDataset",
    classes="${class_names}",
    normal_class="${normal_class}",
    unit_duration="${unit_duration}",
    allow_missing="${allow_missing}",
    allow_overlap="${allow_overlap}",
    crop_separator="${crop_separator}",
    crop="${crop}",
    video_root="${video_root}",
    row_seconds="${frames_per_row / fps}",
)
dataset = dict(
    train=dict(
        feature_dir="${feature_dir}",
        annotation_dir="${annotation_dir}",
        forbid_list="${forbid_list}",
        strict_mode="post_event",
        max_files_per_class=None,
        shots=None,
        balanced=False,
        class_weights=None,
        verbose=True,
        **feature_set,
    ),
    test=dict(feature_dir="${val_feature_dir}", test_mode=True, **feature_set),
)
del feature_set

evaluation = dict(
    type="CombinedMetrics",
    metrics=[
        dict(
            type="Accuracy",
            classes="${class_names}",
            normal_class="${normal_class}",
            annotation="${frame_annotation}",
            frames_per_row="${frames_per_row}",
        ),
        dict(
            type="FrameAnomaly",
            classes="${class_names}",
            normal_class="${normal_class}",
            annotation="${frame_annotation}",
            frames_per_row="${frames_per_row}",
            fps="${fps}",
            frame_counts="${frame_counts}",
            last_row="${last_row}",
        ),
    ],
)
