# Experiment 1 on features of both directions, evaluated in windows of the training length: fusions along time need it.
_base_ = ["thumos_i3d_bi_exp1.py"]

window_overlap = 0.5
dataset = dict(
    test=dict(
        type="ThumosSlidingDataset",
        window_size="${trunc_len}",
        window_overlap_ratio="${window_overlap}",
        pipeline=[
            dict(type="LoadFeats", feat_format="${feat_format}"),
            dict(type="SlidingWindowTrunc"),
            dict(type="Collect", inputs="feats"),
        ],
    ),
)
work_dir = "exps/bi_thumos/actionformer/i3d_exp1_windows"
