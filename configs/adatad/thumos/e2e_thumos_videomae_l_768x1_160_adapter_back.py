# AdaTAD with VideoMAE-L on THUMOS14 played in reverse (opentad-bi reverse-videos, reverse-annotations).
_base_ = ["e2e_thumos_videomae_l_768x1_160_adapter.py"]

data_root = "data/back_thumos-14"
work_dir = "exps/back_thumos/adatad/e2e_actionformer_videomae_l_768x1_160_adapter"
