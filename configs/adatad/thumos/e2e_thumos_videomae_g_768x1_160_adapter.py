# AdaTAD with VideoMAE v2-g on forward THUMOS14: 768 frames, one of every four, at 160 px.
_base_ = [
    "../../_base_/datasets/thumos14_e2e.py",
    "../../_base_/models/adatad.py",
    "../../_base_/schedules/adatad.py",
]

embed_dims = 1408
depth = 40
num_heads = 16
adapter_lr = 1e-4
pretrained = "pretrained/vit-giant-p14_videomaev2-hybrid_pt_1200e_k710_ft_my.pth"
work_dir = "exps/for_thumos/adatad/e2e_actionformer_videomae_g_768x1_160_adapter"
patch_size = 14
mlp_ratio = 48 / 11
