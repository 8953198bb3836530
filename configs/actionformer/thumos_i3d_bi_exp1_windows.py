# Experiment 1: a pair of ActionFormer on I3D features of THUMOS14, evaluated in windows of the training length, which
# fusions along time need.
_base_ = ["thumos_i3d_bi_exp1.py"]

short_names = dict(window_overlap="dataset.test.window_overlap_ratio")
dataset = dict(
    test=dict(
        type="ThumosSlidingDataset",
        window_size="${trunc_len}",
        window_overlap_ratio=0.5,
        pipeline=[
            dict(type="LoadFeats", feat_format="npy"),
            dict(type="SlidingWindowTrunc"),
            dict(type="Collect", inputs="feats"),
        ],
    ),
)
work_dir = "exps/bi_thumos/actionformer/i3d_exp1_windows"
