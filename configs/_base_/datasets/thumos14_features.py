# THUMOS14 as feature files, one per video: random truncation for training, whole videos for evaluation.
data_root = "data/for_thumos-14"
annotation_path = "${data_root}/annotations/thumos_14_anno.json"
class_map = "${data_root}/annotations/category_idx.txt"
feature_root = "${data_root}/features/i3d_actionformer_stride4_thumos"
data_path = "${feature_root}"
block_list = None  # names, or a file of them, of videos without features

trunc_len = 2304  # grid positions of a training window
feature_stride = 4  # video frames per grid position
offset_frames = 8  # frame within a snippet that stands for it
feat_format = "npy"

video_set = dict(
    type="ThumosPaddingDataset",
    ann_file="${annotation_path}",
    class_map="${class_map}",
    data_path="${data_path}",
    block_list="${block_list}",
    filter_gt=False,
    feature_stride="${feature_stride}",
    sample_stride=1,
    offset_frames="${offset_frames}",
)

dataset = dict(
    train=dict(
        subset_name="training",
        pipeline=[
            dict(type="LoadFeats", feat_format="${feat_format}"),
            dict(type="RandomTrunc", trunc_len="${trunc_len}", trunc_thresh=0.5, crop_ratio=[0.9, 1.0]),
            dict(type="Collect", inputs="feats"),
        ],
        **video_set,
    ),
    test=dict(
        subset_name="validation",
        test_mode=True,
        pipeline=[dict(type="LoadFeats", feat_format="${feat_format}"), dict(type="Collect", inputs="feats")],
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
    nms=dict(use_soft_nms=True, sigma=0.5, max_seg_num=2000, iou_threshold=0.1, min_score=0.001, multiclass=True),
)
