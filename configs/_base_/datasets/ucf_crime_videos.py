# The videos of UCF-Crime with captions and regions, its official test set, and texts by which a frame is scored: the
# mean direction of those of a class stands for it.
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
frame_prompts = {
    "Normal": [
        "a surveillance video of an ordinary day",
        "nothing unusual happens",
        "people walk, talk or wait as usual",
        "cars drive along the road as usual",
    ],
    "Abuse": ["a surveillance video of abuse", "someone hurts a person or an animal that cannot defend itself"],
    "Arrest": ["a surveillance video of an arrest", "police officers take a person into custody"],
    "Arson": ["a surveillance video of arson", "someone sets a place on fire"],
    "Assault": ["a surveillance video of an assault", "someone suddenly attacks another person"],
    "Burglary": ["a surveillance video of a burglary", "someone breaks into a house or a shop"],
    "Explosion": ["a surveillance video of an explosion", "a blast with fire and smoke"],
    "Fighting": ["a surveillance video of a fight", "several people fight each other"],
    "RoadAccidents": ["a surveillance video of a road accident", "vehicles crash on a road"],
    "Robbery": ["a surveillance video of a robbery", "someone takes money by threat or force"],
    "Shooting": ["a surveillance video of a shooting", "someone fires a gun"],
    "Shoplifting": ["a surveillance video of shoplifting", "a customer hides goods without paying"],
    "Stealing": ["a surveillance video of stealing", "someone takes what belongs to another"],
    "Vandalism": ["a surveillance video of vandalism", "someone damages property on purpose"],
}
