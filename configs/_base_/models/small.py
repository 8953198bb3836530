# A small backbone trained from scratch and a small ActionFormer: minutes on two CPU cores.
_base_ = ["actionformer.py"]

num_classes = 6
in_channels = 96
num_frames = "${window_size * scale_factor}"

detector = dict(
    backbone=dict(
        type="VideoBackbone",
        backbone=dict(
            type="Conv3DAdapter",
            total_frames="${num_frames}",
            image_size="${image_size}",
            widths=(24, 48, "${in_channels}"),
        ),
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        clip_frames=None,
        output_length="${window_size}",
    ),
    projection=dict(out_channels=128, arch=(2, 1, 4)),
    neck=dict(in_channels=128, out_channels=128, num_levels=5),
    rpn_head=dict(
        in_channels=128,
        feat_channels=128,
        reg_prior=1.0,
        prior_generator=dict(
            strides=[1, 2, 4, 8, 16],
            regression_range=[(0, 4), (4, 8), (8, 16), (16, 32), (32, 10000)],
        ),
    ),
)
