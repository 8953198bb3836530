# Clips of video files with one label each: views, draws of few videos per class, protocols. A data set adds its lists.
# A method (configs/_base_/prompts) says whether clips are mixed (videomix) and augmented (use_augmentation).
num_frames = 8  # of a view
temporal_views = 4  # a video is cut into so many runs of frames
spatial_views = 3  # 1: the centre; 3: start, centre and end of the longer side
image_size = 224
interpolation = "bicubic"  # as CLIP's towers were trained; the original: "bilinear"
resize_mode = "shortest"  # then the crops; "squash", "longest": as open_clip says of a tower
trim_black = False  # cut off black strips at top and bottom
frame_cache = None  # folder that keeps the resized frames
feature_dir = None  # folder of tools/extract_clip_features.py --config; only where nothing visual is learned
draw_seed = 0  # of the draw of K_train and K_val videos per class
val_share = 0.0  # in place of K_val: the share of the groups of a class that is validation
protocol = "all"  # classes: all, base, new, most_frequent, least_frequent, random
protocol_count = None  # of the last three
protocol_seed = 0  # of the last
class_names = None  # {class: how a prompt says it}; None: by its capitals and '_'
reference = None  # a list, or several, whose classes are right where those of numbered lists are in another order
tolerate = 0.0  # share of the listed files that may be missing
allow_overlap = False  # True: test all the same on videos that were learned from
block_list = None  # names of videos, or a file of them, that are left out: damaged ones
augmentations = [
    dict(type="Flip", flip_ratio=0.5),
    dict(type="ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4, hue=0.07),
]

load = dict(
    type="LoadClips",
    frames="${num_frames}",
    views="${temporal_views}",
    size="${image_size}",
    interpolation="${interpolation}",
    resize_mode="${resize_mode}",
    trim_black="${trim_black}",
    cache="${frame_cache}",
)
crops = dict(type="SpatialViews", size="${image_size}", views="${spatial_views}")
clips = dict(
    type="VideoFolder",
    root="${video_root}",
    protocol="${protocol}",
    protocol_count="${protocol_count}",
    protocol_videos="${train_videos}",
    protocol_seed="${protocol_seed}",
    class_names="${class_names}",
    reference="${reference}",
    draw_seed="${draw_seed}",
    tolerate="${tolerate}",
    block_list="${block_list}",
    features="${feature_dir}",
    allow_overlap="${allow_overlap}",
)
draw = dict(
    videos="${train_videos}",
    shots="${K_train}",
    val_shots="${K_val}",
    val_share="${val_share}",
    group="${group}",
)
dataset = dict(
    train=dict(
        part="train",
        mix="${videomix}",
        pipeline=[
            load,
            crops,
            dict(type="Augment", steps="${augmentations}", enabled="${use_augmentation}"),
            dict(type="CollectClip"),
        ],
        **draw,
        **clips,
    ),
    val=dict(part="val", test_mode=True, pipeline=[load, crops, dict(type="CollectClip")], **draw, **clips),
    test=dict(
        videos="${test_videos}", test_mode=True, pipeline=[load, crops, dict(type="CollectClip")], **clips
    ),
)  # fmt: skip
del load, crops, clips, draw

evaluation = dict(type="Accuracy")
