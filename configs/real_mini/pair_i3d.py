# Experiment 1: a pair of small ActionFormer on I3D features of data/real-mini, made with i3d_frames.py
# (docs/real_mini.md).
_base_ = [
    "../_base_/datasets/thumos14_features.py",
    "../_base_/models/small.py",
    "../_base_/schedules/small.py",
    "../_base_/models/pair.py",
]

data_root = "data/real-mini"
feature_root = "${data_root}/features/i3d"
data_path = "${feature_root}/for"
num_classes = 1
in_channels = 1024
trunc_len = 128
max_seq_len = "${trunc_len}"
feature_stride = 8
offset_frames = 4
end_epoch = 20
detector = dict(backbone=None, projection=dict(input_pdrop=0.2))
branch = dict(optimizer=dict(backbone=None))
dataset = dict(wrap=dict(source="files", back_data_path="${feature_root}/back"))
evaluation = dict(cross_direction_voting=1.0)
work_dir = "exps/real_mini/pair_i3d"
