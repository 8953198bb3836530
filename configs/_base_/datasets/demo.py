# The demonstration set (tools/make_demo_dataset.py): 48 px, 25 frames per second, 20 to 36 s, six classes in pairs
# that are each other's reversal.
data_root = "data/demo"
annotation_path = "${data_root}/annotations/thumos_14_anno.json"
class_map = "${data_root}/annotations/category_idx.txt"
data_path = "${data_root}/raw_data"

window_size = 192
image_size = 48  # the size of the videos
scale_factor = 1
feature_stride = 4
reader = "pyav"

video_set = dict(
    ann_file="${annotation_path}",
    class_map="${class_map}",
    data_path="${data_path}",
    feature_stride="${feature_stride}",
)

dataset = dict(
    train=dict(
        type="ThumosPaddingDataset",
        subset_name="training",
        pipeline=[
            dict(
                type="LoadFrames",
                method="random_trunc",
                trunc_len="${window_size}",
                trunc_thresh=0.75,
                crop_ratio=[0.6, 1.0],
                scale_factor="${scale_factor}",
                reader="${reader}",
            ),
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
            dict(type="LoadFrames", method="sliding_window", scale_factor="${scale_factor}", reader="${reader}"),
            dict(type="DecodeFrames"),
            dict(type="Collect"),
        ],
        **video_set,
    ),
)
del video_set

evaluation = dict(
    type="mAP",
    subset="validation",
    tiou_thresholds=[0.3, 0.4, 0.5, 0.6, 0.7],
    ground_truth_filename="${annotation_path}",
    class_map="${class_map}",
    nms=dict(use_soft_nms=True, sigma=0.5, max_seg_num=200, min_score=0.001, multiclass=True),
)
