# I3D, pretrained on Kinetics-400 and frozen, over the frames of data/real-mini: every frame, one position in 8.
# opentad-bi extract-features makes the features of pair_i3d.py with it; it can also be trained as it is.
_base_ = [
    "../_base_/datasets/thumos14_e2e.py",
    "../_base_/models/small.py",
    "../_base_/schedules/small.py",
]

data_root = "data/real-mini"
num_classes = 1
window_size = 80
scale_factor = 8
feature_stride = 8
image_size = 128
resize_size = 144
short_names = dict(pretrained="branch.pretrained.path")

dataset = dict(test=dict(window_overlap_ratio=0.25))
detector = dict(
    backbone=dict(backbone=dict(_delete_=True, type="I3D"), mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    projection=dict(in_channels=1024),
)
branch = dict(
    optimizer=dict(backbone=None),
    trainable=["projection.*", "neck.*", "rpn_head.*"],
    pretrained=dict(path="pretrained/i3d_rgb_kinetics400_fp16.npz", module="backbone", unexpected=["logits.*"]),
)
solver = dict(test=dict(batch_size=1))
work_dir = "exps/real_mini/i3d_frames"
