# The detector of AdaTAD with VideoMAE-S alone, on window features of a network that was trained end to end:
#   opentad-bi extract-features configs/adatad/thumos/e2e_thumos_videomae_s_768x1_160_adapter.py CHECKPOINT --windows
#     --out data/for_thumos-14/features/adatad_s
# load_from takes the detector of that checkpoint.
_base_ = [
    "../_base_/datasets/thumos14_windows.py",
    "../_base_/models/actionformer.py",
    "../_base_/schedules/actionformer.py",
]

feature_root = "${data_root}/features/adatad_s"
in_channels = 384
branch = dict(load_unexpected=["backbone.*"])
work_dir = "exps/for_thumos/actionformer/adatad_s_windows"
