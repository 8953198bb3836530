# FG-CLIP on captions of the generated surveillance videos in place of scored frames, to test what surveillance.py
# trained: which belongs to which video and region?
_base_ = ["surveillance.py"]

held_out = "${data_root}/test.json"
dataset = dict(
    test=dict(
        _delete_=True,
        type="RegionVideoDataset",
        ann_files="${held_out}",
        root="${video_root}",
        frames="${num_frames}",
        size="${image_size}",
        layouts="${layouts}",
        classes="${class_names}",
        normal_class="${normal_class}",
        min_region_frames="${min_region_frames}",
        max_regions=100,
        caption_map="${caption_map}",
        cache="${frame_cache}",
        tolerate="${tolerate}",
        test_mode=True,
    ),
)
evaluation = dict(_delete_=True, type="CaptionRetrieval", ranks=[1, 5], select="region")
