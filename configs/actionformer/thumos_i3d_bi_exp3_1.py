# Experiment 3-1 on features of both directions.
_base_ = ["thumos_i3d_bi_exp1_windows.py", "../_base_/fusions/exp3_1.py"]

model = dict(fusion="${fusion}", unfused_share="${unfused_share}")
branches = dict(fusion="${fusion_branch}")
work_dir = "exps/bi_thumos/actionformer/i3d_exp3_1"
