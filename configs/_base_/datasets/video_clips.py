# Clips of video files with one label each: views, draws of few videos per class, protocols. A data set adds its lists
# (video_root, train_videos, test_videos, group), K_train and K_val, a method (configs/_base_/prompts) whether clips are
# mixed (videomix) and augmented (use_augmentation).
num_frames = 8  # of a view
short_names = dict(
    temporal_views="dataset.*.pipeline.0.views",
    spatial_views="dataset.*.pipeline.1.views",
    image_size="dataset.*.pipeline.*.size",
    interpolation="dataset.*.pipeline.0.interpolation",
    resize_mode="dataset.*.pipeline.0.resize_mode",
    trim_black="dataset.*.pipeline.0.trim_black",
    frame_cache="dataset.*.pipeline.0.cache",
    feature_dir="dataset.*.features",
    sampling_seed="dataset.*.sampling_seed",
    val_ratio="dataset.*.val_ratio",
    protocol="dataset.*.protocol",
    protocol_count="dataset.*.protocol_count",
    protocol_seed="dataset.*.protocol_seed",
    class_names="dataset.*.class_names",
    reference="dataset.*.reference",
    tolerate="dataset.*.tolerate",
    allow_overlap="dataset.*.allow_overlap",
    block_list="dataset.*.block_list",
    augmentations="dataset.train.pipeline.2.steps",
)

load = dict(
    type="LoadClips",
    frames="${num_frames}",
    views=4,  # a video is cut into so many runs of frames
    size=224,
    interpolation="bicubic",  # as CLIP's towers were trained; the original: "bilinear"
    resize_mode="shortest",  # then the crops; "squash", "longest": as open_clip says of a tower
    trim_black=False,  # cut off black strips at top and bottom
    cache=None,  # folder that keeps the resized frames
)
crops = dict(type="SpatialViews", size=224, views=3)  # 1: the centre; 3: start, centre and end of the longer side
clips = dict(
    type="VideoFolder",
    root="${video_root}",
    protocol="all",  # classes: all, base, new, most_frequent, least_frequent, random
    protocol_count=None,  # of the last three
    protocol_videos="${train_videos}",
    protocol_seed=0,  # of random
    class_names=None,  # {class: how a prompt says it}; None: by its capitals and '_'
    reference=None,  # a list, or several, whose classes are right where those of numbered lists are in another order
    sampling_seed=0,  # of the random sampling of K_train and K_val videos per class
    tolerate=0.0,  # share of the listed files that may be missing
    block_list=None,  # names of videos, or a file of them, that are left out: damaged ones
    features=None,  # folder of opentad-bi extract-clip-features --config; only where nothing visual is learned
    allow_overlap=False,  # True: test all the same on videos that were learned from
)
sampling = dict(
    videos="${train_videos}",
    shots="${K_train}",
    val_shots="${K_val}",
    val_ratio=0.0,  # in place of K_val: the fraction of the groups of a class that is validation
    group="${group}",
)
steps = [
    dict(type="Flip", flip_ratio=0.5),
    dict(type="ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4, hue=0.07),
]
augment = dict(type="Augment", steps=steps, enabled="${use_augmentation}")
collect = dict(type="CollectClip")
dataset = dict(
    train=dict(part="train", mix="${videomix}", pipeline=[load, crops, augment, collect], **sampling, **clips),
    val=dict(part="val", test_mode=True, pipeline=[load, crops, collect], **sampling, **clips),
    test=dict(videos="${test_videos}", test_mode=True, pipeline=[load, crops, collect], **clips),
)
del load, crops, clips, sampling, steps, augment, collect

evaluation = dict(type="Accuracy")
