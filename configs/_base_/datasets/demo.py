# The demonstration set (tools/make_demo_dataset.py): 48 px, 25 frames per second, 20 to 40 s, six classes in pairs
# that are each other's reversal. Frames are used at their own size.
_base_ = ["thumos14_e2e.py"]

data_root = "data/demo"
window_size = 192
image_size = 48  # the size of the videos

dataset = dict(
    train=dict(
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
    ),
    test=dict(
        pipeline=[
            dict(type="LoadFrames", method="sliding_window", scale_factor="${scale_factor}", reader="${reader}"),
            dict(type="DecodeFrames"),
            dict(type="Collect"),
        ],
    ),
)
evaluation = dict(nms=dict(sigma=0.5, max_seg_num=200, min_score=0.001))
