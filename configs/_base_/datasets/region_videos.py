# Videos with a caption each and described regions whose boxes move; to test, frames at even distances of whole videos.
data_root = "data/region_videos"
video_root = "${data_root}"
ann_files = "${data_root}/train.json"
forbid_list = "${data_root}/Anomaly_Test.txt"  # never trained on; None: there is no such list
drop_forbidden = False  # True: leave such videos out of the training set, where they are an error otherwise
test_videos = "${data_root}/Temporal_Anomaly_Annotation.txt"  # a list of videos, or a folder
frame_annotation = "${data_root}/Temporal_Anomaly_Annotation.txt"
unlisted_normal = False  # True: videos that frame_annotation lacks are normal
layouts = None  # where below video_root the files are; None: as UCF-Crime is unpacked by different people
normal_class = "Normal"
balance = "share"  # of normal and abnormal videos in a batch: as in the set; "equal": half and half
num_frames = 256  # of a video to learn from
min_region_frames = 4  # that hit a region, where it is there so long
max_regions = 4  # of a video
image_size = 224
frame_stride = 16  # of tests, video frames that one score stands for
chunk = 64  # frames of tests that are scored together
fps = 30  # of the axis of score curves
caption_map = None  # JSON file {caption: what stands in its place}, such as translations
frame_cache = None  # folder that keeps the squashed frames
tolerate = 0.0  # share of the videos whose file may be missing

files = dict(
    root="${video_root}",
    size="${image_size}",
    layouts="${layouts}",
    classes="${class_names}",
    normal_class="${normal_class}",
    tolerate="${tolerate}",
    cache="${frame_cache}",
    reader="pyav",
)
dataset = dict(
    train=dict(
        type="RegionVideoDataset",
        ann_files="${ann_files}",
        frames="${num_frames}",
        policy="ensure",
        min_region_frames="${min_region_frames}",
        max_regions="${max_regions}",
        enabled_mode="label_studio",
        open_end="video",
        frame_base=0,
        on_bad_box="error",
        on_bad_entry="error",
        normal_region="none",
        caption_map="${caption_map}",
        on_chinese="warn",
        empty_caption="region",
        forbid_list="${forbid_list}",
        drop_forbidden="${drop_forbidden}",
        balance="${balance}",
        **files,
    ),
    test=dict(type="FrameStreamDataset", videos="${test_videos}", stride="${frame_stride}", chunk="${chunk}", **files),
)
del files

frames = dict(
    classes="${class_names}",
    normal_class="${normal_class}",
    annotation="${frame_annotation}",
    frames_per_row="${frame_stride}",
)
evaluation = dict(
    type="CombinedMetrics",
    metrics=[
        dict(
            type="FrameAnomaly",
            fps="${fps}",
            score="normal",
            sigma=0.0,
            tolerance_frames=None,
            unlisted_normal="${unlisted_normal}",
            curves=4,
            per_class=True,
            **frames,
        ),
        dict(type="Accuracy", **frames),
    ],
)
del frames
