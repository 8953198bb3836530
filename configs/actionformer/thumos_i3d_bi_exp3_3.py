# Experiment 3-3: a pair of ActionFormer on I3D features of THUMOS14.
_base_ = ["thumos_i3d_bi_exp1_windows.py", "../_base_/fusions/exp3_3.py"]

work_dir = "exps/bi_thumos/actionformer/i3d_exp3_3"
