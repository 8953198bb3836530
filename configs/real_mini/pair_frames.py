# Experiment 1: a pair of small networks from scratch on raw frames of data/real-mini (real clips of fights between
# other scenes).
_base_ = [
    "../_base_/datasets/thumos14_e2e.py",
    "../_base_/models/small.py",
    "../_base_/schedules/small.py",
    "../_base_/models/pair.py",
]

data_root = "data/real-mini"
num_classes = 1
window_size = 192
image_size = 64
resize_size = 72
end_epoch = 40
work_dir = "exps/real_mini/pair_frames"
