# THUMOS14 as feature files, one per video: random truncation for training, whole videos for evaluation.
data_root = "data/for_thumos-14"
feature_root = "${data_root}/features/i3d_actionformer_stride4_thumos"
trunc_len = 2304  # grid positions of a training window
short_names = dict(
    annotation_path=["dataset.*.ann_file", "evaluation.ground_truth_filename"],
    class_map=["dataset.*.class_map", "evaluation.class_map"],
    data_path="dataset.*.data_path",
    block_list="dataset.*.block_list",
    feature_stride="dataset.*.feature_stride",
    offset_frames="dataset.*.offset_frames",
    feat_format="dataset.*.pipeline.*.feat_format",
)

annotation = "${data_root}/annotations/thumos_14_anno.json"
classes = "${data_root}/annotations/category_idx.txt"
video_set = dict(
    type="ThumosPaddingDataset",
    ann_file=annotation,
    class_map=classes,
    data_path="${feature_root}",
    block_list=None,  # names, or a file of them, of videos without features
    filter_gt=False,
    feature_stride=4,  # video frames per grid position
    sample_stride=1,
    offset_frames=8,  # frame within a snippet that stands for it
)
load = dict(type="LoadFeats", feat_format="npy")
dataset = dict(
    train=dict(
        subset_name="training",
        pipeline=[
            load,
            dict(type="RandomTrunc", trunc_len="${trunc_len}", trunc_thresh=0.5, crop_ratio=[0.9, 1.0]),
            dict(type="Collect", inputs="feats"),
        ],
        **video_set,
    ),
    test=dict(
        subset_name="validation", test_mode=True, pipeline=[load, dict(type="Collect", inputs="feats")], **video_set
    ),
)
evaluation = dict(
    type="mAP",
    subset="validation",
    tiou_thresholds=[0.3, 0.4, 0.5, 0.6, 0.7],
    ground_truth_filename=annotation,
    class_map=classes,
    nms=dict(use_soft_nms=True, sigma=0.5, max_seg_num=2000, iou_threshold=0.1, min_score=0.001, multiclass=True),
)
del annotation, classes, video_set, load
