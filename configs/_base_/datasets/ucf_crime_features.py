# UCF-Crime as per-second features of an image tower: class folders of .npy files (rows, width), one row per second.
# opentad-bi extract-clip-features makes them, opentad-bi ucf-crime lays them out.
data_root = "data/ucf_crime_features"
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
short_names = dict(
    feature_dir="dataset.train.feature_dir",
    val_feature_dir="dataset.test.feature_dir",
    annotation_dir="dataset.train.annotation_dir",
    forbid_list="dataset.train.forbid_list",
    snippet_duration="dataset.*.snippet_duration",
    allow_missing="dataset.*.allow_missing",
    allow_overlap="dataset.*.allow_overlap",
    crop_separator="dataset.*.crop_separator",
    crop="dataset.*.crop",
    video_root="dataset.*.video_root",
    normal_class=["dataset.*.normal_class", "evaluation.metrics.*.normal_class"],
    frame_annotation="evaluation.metrics.*.annotation",
    frames_per_row="evaluation.metrics.*.frames_per_row",
    fps="evaluation.metrics.*.fps",
    frame_counts="evaluation.metrics.*.frame_counts",
    last_row="evaluation.metrics.*.last_row",
)

feature_set = dict(
    type="VideoFeatureDataset",
    classes="${class_names}",
    normal_class="Normal",
    snippet_duration=1,  # rows of a sample
    allow_missing=False,  # may a class have no folder?
    allow_overlap=False,  # True: test all the same on videos that were learned from
    crop_separator=None,  # "__" or "_" where files are crops of a video: NAME__0.npy to NAME__9.npy
    crop=None,  # of files (rows, crops, width): which crop is taken; None: their mean
    video_root=None,  # folder of the videos, whose lengths the rows are compared with; None: there is none
    row_seconds="${frames_per_row / fps}",
)
dataset = dict(
    train=dict(
        feature_dir="${data_root}/train",
        annotation_dir=None,  # CSV files of the events in training videos; the official set has none
        forbid_list="${data_root}/test_videos.txt",  # never trained on; None: there is no such list
        strict_mode="post_event",
        max_files_per_class=None,
        shots=None,
        balanced=False,
        class_weights=None,
        verbose=True,
        **feature_set,
    ),
    test=dict(feature_dir="${data_root}/test", test_mode=True, **feature_set),
)
del feature_set

scored = dict(
    classes="${class_names}",
    normal_class="Normal",
    annotation="${data_root}/Temporal_Anomaly_Annotation.txt",
    frames_per_row=30,  # video frames that a row stands for
)
evaluation = dict(
    type="CombinedMetrics",
    metrics=[
        dict(type="Accuracy", **scored),
        dict(
            type="FrameAnomaly",
            **scored,
            fps=30,  # of all videos
            frame_counts=None,  # JSON file {video: frames}, which the rows of tests are compared with
            last_row="either",  # of frames that make no whole row: "keep", "drop" or "either"
        ),
    ],
)
del scored
