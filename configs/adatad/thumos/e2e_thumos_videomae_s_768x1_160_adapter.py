# AdaTAD with VideoMAE-S on forward THUMOS14: 768 frames, one of every four, at 160 px.
_base_ = [
    "../../_base_/datasets/thumos14_e2e.py",
    "../../_base_/models/adatad.py",
    "../../_base_/schedules/adatad.py",
]

embed_dims = 384
depth = 12
num_heads = 6
adapter_lr = 2e-4
pretrained = "pretrained/vit-small-p16_videomae-k400-pre_16x4x1_kinetics-400_my.pth"
work_dir = "exps/for_thumos/adatad/e2e_actionformer_videomae_s_768x1_160_adapter"
