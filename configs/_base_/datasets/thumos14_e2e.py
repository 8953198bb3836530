# THUMOS14 frames from mp4: random truncation for training, sliding windows for evaluation.
data_root = "data/for_thumos-14"
annotation_path = "${data_root}/annotations/thumos_14_anno.json"
class_map = "${data_root}/annotations/category_idx.txt"
data_path = "${data_root}/raw_data"
block_list = None

window_size = 768  # grid positions of a window
scale_factor = 1  # frames per grid position
feature_stride = 4  # video frames per grid position
image_size = 160
resize_size = 182  # short side before the random crop
reader = "pyav"

video_set = dict(
    ann_file="${annotation_path}",
    class_map="${class_map}",
    data_path="${data_path}",
    block_list="${block_list}",
    filter_gt=False,
    feature_stride="${feature_stride}",
    sample_stride=1,
)

train_pipeline = [
    dict(
        type="LoadFrames",
        method="random_trunc",
        trunc_len="${window_size}",
        trunc_thresh=0.75,
        crop_ratio=[0.9, 1.0],
        scale_factor="${scale_factor}",
        reader="${reader}",
    ),
    dict(type="DecodeFrames"),
    dict(type="Resize", scale=[-1, "${resize_size}"]),
    dict(type="RandomResizedCrop"),
    dict(type="Resize", scale=["${image_size}", "${image_size}"], keep_ratio=False),
    dict(type="Flip", flip_ratio=0.5),
    dict(type="ImgAug", transforms="default"),
    dict(type="ColorJitter"),
    dict(type="Collect"),
]
test_pipeline = [
    dict(type="LoadFrames", method="sliding_window", scale_factor="${scale_factor}", reader="${reader}"),
    dict(type="DecodeFrames"),
    dict(type="Resize", scale=[-1, "${image_size}"]),
    dict(type="CenterCrop", crop_size="${image_size}"),
    dict(type="Collect"),
]

dataset = dict(
    train=dict(type="ThumosPaddingDataset", subset_name="training", pipeline=train_pipeline, **video_set),
    test=dict(
        type="ThumosSlidingDataset",
        subset_name="validation",
        test_mode=True,
        window_size="${window_size}",
        window_overlap_ratio=0.5,
        pipeline=test_pipeline,
        **video_set,
    ),
)
del video_set, train_pipeline, test_pipeline

evaluation = dict(
    type="mAP",
    subset="validation",
    tiou_thresholds=[0.3, 0.4, 0.5, 0.6, 0.7],
    ground_truth_filename="${annotation_path}",
    class_map="${class_map}",
    nms=dict(use_soft_nms=True, sigma=0.7, max_seg_num=2000, multiclass=True),
)
