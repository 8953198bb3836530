# FG-CLIP on generated surveillance videos, a tiny random tower (opentad-bi demo-data surveillance).
_base_ = [
    "../../_base_/datasets/region_videos.py",
    "../../_base_/models/fg_clip.py",
]

data_root = "data/demo_surveillance"
clip_model = "${data_root}/tower.json"
clip_pretrained = "${data_root}/tower.safetensors"
class_names = ["Normal", "Arson", "Fighting", "RoadAccidents", "Stealing"]
frame_prompts = {
    "Normal": ["Nothing unusual happens in the street.", "A person walks along the street.", "A car passes by."],
    "Arson": ["A fire burns in the street.", "an orange fire grows", "flames rise from the ground"],
    "Fighting": ["Two people fight in the street.", "two people beat each other"],
    "RoadAccidents": ["A car crashes in the street.", "smoke rises from a wrecked car"],
    "Stealing": ["A thief takes a box away.", "a thief carries a green box"],
}
image_size = 32
num_frames = 16
min_region_frames = 1
frame_stride = 8
fps = 25
region_weight = 1.0
recompute = None
lr = 5e-4
text_lr = 5e-4
amp = None
batch_size = 8
num_workers = 0
end_epoch = 20
work_dir = "exps/fgclip/demo/surveillance"
