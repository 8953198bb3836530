# Experiment 1: a pair of ActionFormer on window features of AdaTAD with VideoMAE-S on THUMOS14, each direction from its
# own network where a pair made them.
_base_ = ["thumos_adatad_s_windows.py", "../_base_/models/pair.py"]

dataset = dict(wrap=dict(source="files", back_data_path="${feature_root}/back"))
work_dir = "exps/bi_thumos/actionformer/adatad_s_windows_exp1"
