# The same on THUMOS14 played in reverse (tools/reverse_videos.py and tools/reverse_annotations.py make it).
_base_ = ["e2e_thumos_videomae_g_768x1_160_adapter.py"]

data_root = "data/back_thumos-14"
work_dir = "exps/back_thumos/adatad/e2e_actionformer_videomae_g_768x1_160_adapter"
