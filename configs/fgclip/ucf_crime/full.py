# FG-CLIP on UCF-Crime, 256 frames of a video, batches of 16; ViT-B/32 of OpenAI.
_base_ = [
    "../../_base_/datasets/ucf_crime_videos.py",
    "../../_base_/models/fg_clip.py",
]

work_dir = "exps/fgclip/ucf_crime/full"
