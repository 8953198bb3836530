# ActionFormer on two-stream I3D features of THUMOS14: one position every 4 frames, local attention.
_base_ = [
    "../_base_/datasets/thumos14_features.py",
    "../_base_/models/actionformer.py",
    "../_base_/schedules/actionformer.py",
]

block_list = "${data_path}/missing_files.txt"  # comes with the features; None: there is no such list
in_channels = 2048
max_seq_len = "${trunc_len}"
short_names = dict(attention_window="detector.projection.attn_cfg.n_mha_win_size")
detector = dict(projection=dict(input_pdrop=0.2, attn_cfg=dict(n_mha_win_size=19)))
work_dir = "exps/for_thumos/actionformer/i3d"
