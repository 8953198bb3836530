# THUMOS14 frames from mp4: random truncation for training, sliding windows for evaluation.
data_root = "data/for_thumos-14"
window_size = 768  # grid positions of a window
scale_factor = 1  # frames per grid position
image_size = 160
resize_size = 182  # short side before the random crop
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
    block_list=None,  # names, or a file of them, of videos to leave out
    filter_gt=False,
    feature_stride=4,  # video frames per grid position
    sample_stride=1,
)
load = dict(scale_factor="${scale_factor}", reader="pyav")
truncate = dict(method="random_trunc", trunc_len="${window_size}", trunc_thresh=0.75, crop_ratio=[0.9, 1.0])
dataset = dict(
    train=dict(
        type="ThumosPaddingDataset",
        subset_name="training",
        pipeline=[
            dict(type="LoadFrames", **truncate, **load),
            dict(type="DecodeFrames"),
            dict(type="Resize", scale=[-1, "${resize_size}"]),
            dict(type="RandomResizedCrop"),
            dict(type="Resize", scale=["${image_size}"] * 2, keep_ratio=False),
            dict(type="Flip", flip_ratio=0.5),
            dict(type="ImgAug", transforms="default"),
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
            dict(type="Resize", scale=[-1, "${image_size}"]),
            dict(type="CenterCrop", crop_size="${image_size}"),
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
    nms=dict(use_soft_nms=True, sigma=0.7, max_seg_num=2000, multiclass=True),
)
del annotation, classes, video_set, load, truncate
