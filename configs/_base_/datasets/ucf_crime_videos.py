# The videos of UCF-Crime with captions and regions, and its official test set.
_base_ = ["region_videos.py"]

data_root = "data/UCF_Crimes_Videos"
ann_files = "${data_root}/ucf_fgclip_train_final.json"
balance = "equal"
class_names = [
    "Normal",
    "Abuse",
    "Arrest",
    "Arson",
    "Assault",
    "Burglary",
    "Explosion",
    "Fighting",
    "RoadAccidents",
    "Robbery",
    "Shooting",
    "Shoplifting",
    "Stealing",
    "Vandalism",
]
