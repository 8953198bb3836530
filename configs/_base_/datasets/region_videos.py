# Videos with a caption each and described regions whose boxes move; to test, frames at even distances of whole videos.
# A data set adds class_names.
data_root = "data/region_videos"
short_names = dict(
    video_root="dataset.*.root",
    ann_files="dataset.train.ann_files",
    forbid_list="dataset.train.forbid_list",
    drop_forbidden="dataset.train.drop_forbidden",
    balance="dataset.train.balance",
    num_frames="dataset.train.frames",
    min_region_frames="dataset.train.min_region_frames",
    max_regions="dataset.train.max_regions",
    caption_map="dataset.train.caption_map",
    image_size="dataset.*.size",
    layouts="dataset.*.layouts",
    tolerate="dataset.*.tolerate",
    frame_cache="dataset.*.cache",
    normal_class=["dataset.*.normal_class", "evaluation.metrics.*.normal_class"],
    test_videos="dataset.test.videos",
    frame_stride="dataset.test.stride",
    chunk="dataset.test.chunk",
    frame_annotation="evaluation.metrics.*.annotation",
    fps="evaluation.metrics.*.fps",
    unlisted_normal="evaluation.metrics.*.unlisted_normal",
)

files = dict(
    root="${data_root}",
    size=224,
    layouts=None,  # where below the root the files are; None: as UCF-Crime is unpacked by different people
    classes="${class_names}",
    normal_class="Normal",
    tolerate=0.0,  # share of the videos whose file may be missing
    cache=None,  # folder that keeps the squashed frames
    reader="pyav",
)
dataset = dict(
    train=dict(
        type="RegionVideoDataset",
        ann_files="${data_root}/train.json",
        frames=256,  # of a video to learn from
        policy="ensure",
        min_region_frames=4,  # that hit a region, where it is there so long
        max_regions=4,  # of a video
        enabled_mode="label_studio",
        open_end="video",
        frame_base=0,
        on_bad_box="error",
        on_bad_entry="error",
        normal_region="none",
        caption_map=None,  # JSON file {caption: what stands in its place}, such as translations
        on_chinese="warn",
        empty_caption="region",
        forbid_list="${data_root}/Anomaly_Test.txt",  # never trained on; None: there is no such list
        drop_forbidden=False,  # True: leave such videos out of the training set, where they are an error otherwise
        balance="natural",  # of normal and abnormal videos in a batch: as in the set; "equal": half and half
        **files,
    ),
    test=dict(
        type="FrameStreamDataset",
        videos="${data_root}/Temporal_Anomaly_Annotation.txt",  # a list of videos, or a folder
        stride=16,  # video frames that one score stands for
        chunk=64,  # frames that are scored together
        **files,
    ),
)
del files

frames = dict(
    classes="${class_names}",
    normal_class="Normal",
    annotation="${data_root}/Temporal_Anomaly_Annotation.txt",
    frames_per_row="${frame_stride}",
)
evaluation = dict(
    type="CombinedMetrics",
    metrics=[
        dict(
            type="FrameAnomaly",
            fps=30,  # of the axis of score curves
            score="normal",
            sigma=0.0,
            tolerance_frames=None,
            unlisted_normal=False,  # True: videos that the annotation lacks are normal
            curves=4,
            per_class=True,
            **frames,
        ),
        dict(type="Accuracy", **frames),
    ],
)
del frames
