# AdaTAD with VideoMAE-B on forward THUMOS14: 768 frames, one of every four, at 160 px.
_base_ = [
    "../../_base_/datasets/thumos14_e2e.py",
    "../../_base_/models/adatad.py",
    "../../_base_/schedules/adatad.py",
]

embed_dims = 768
depth = 12
num_heads = 12
adapter_lr = 1e-4
pretrained = "pretrained/vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400_20221013-860a3cd3.pth"
work_dir = "exps/for_thumos/adatad/e2e_actionformer_videomae_b_768x1_160_adapter"
