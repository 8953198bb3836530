# AdaTAD with VideoMAE-H on forward THUMOS14: 768 frames, one of every four, at 160 px.
_base_ = [
    "../../_base_/datasets/thumos14_e2e.py",
    "../../_base_/models/adatad.py",
    "../../_base_/schedules/adatad.py",
]

embed_dims = 1280
depth = 32
num_heads = 16
adapter_lr = 1e-4
pretrained = "pretrained/vit-huge-p16_videomae-k400-pre_16x4x1_kinetics-400_my.pth"
work_dir = "exps/for_thumos/adatad/e2e_actionformer_videomae_h_768x1_160_adapter"
