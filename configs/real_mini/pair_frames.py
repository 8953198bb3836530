# Experiment 1 on data/real-mini (real clips of fights between other scenes) from raw frames: a pair of small networks
# from scratch.
_base_ = [
    "../_base_/datasets/thumos14_e2e.py",
    "../_base_/models/small.py",
    "../_base_/schedules/small.py",
]

data_root = "data/real-mini"
num_classes = 1
window_size = 192
image_size = 64
resize_size = 72
end_epoch = 40
dataset = dict(wrap=dict(type="PairedDataset", source="device"))
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
work_dir = "exps/real_mini/pair_frames"
