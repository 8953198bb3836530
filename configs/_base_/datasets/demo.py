# The demonstration set (opentad-bi demo-data detection): 48 px, 25 frames per second, 20 to 40 s, six classes in pairs
# that are each other's reversal. Frames are used at their own size.
data_root = "data/demo"
window_size = 192  # grid positions of a window
scale_factor = 1  # frames per grid position
image_size = 48  # the size of the videos
short_names = dict(
    annotation_path=["dataset.*.ann_file", "evaluation.ground_truth_filename"],
    class_map=["dataset.*.class_map", "evaluation.class_map"],
    data_path="dataset.*.data_path",
    block_list="dataset.*.block_list",
    feature_stride="dataset.*.feature_stride",
    reader="dataset.*.pipeline.*.reader",
)

annotation = "${data_root}/annotations/thumos_14_anno.json"
classes = "${data_root}/annotations/category_idx.txt"
video_set = dict(
    ann_file=annotation,
    class_map=classes,
    data_path="${data_root}/raw_data",
    block_list=None,
    filter_gt=False,
    feature_stride=4,  # video frames per grid position
    sample_stride=1,
)
load = dict(scale_factor="${scale_factor}", reader="pyav")
truncate = dict(method="random_trunc", trunc_len="${window_size}", trunc_thresh=0.75, crop_ratio=[0.6, 1.0])
dataset = dict(
    train=dict(
        type="ThumosPaddingDataset",
        subset_name="training",
        pipeline=[
            dict(type="LoadFrames", **truncate, **load),
            dict(type="DecodeFrames"),
            dict(type="Flip", flip_ratio=0.5),
            dict(type="ColorJitter"),
            dict(type="Collect"),
        ],
        **video_set,
    ),
    test=dict(
        type="ThumosSlidingDataset",
        subset_name="validation",
        test_mode=True,
        window_size="${window_size}",
        window_overlap_ratio=0.5,
        pipeline=[
            dict(type="LoadFrames", method="sliding_window", **load),
            dict(type="DecodeFrames"),
            dict(type="Collect"),
        ],
        **video_set,
    ),
)
evaluation = dict(
    type="mAP",
    subset="validation",
    tiou_thresholds=[0.3, 0.4, 0.5, 0.6, 0.7],
    ground_truth_filename=annotation,
    class_map=classes,
    nms=dict(use_soft_nms=True, sigma=0.5, max_seg_num=200, multiclass=True, min_score=0.001),
)
del annotation, classes, video_set, load, truncate
