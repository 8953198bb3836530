# Experiment 3-1 with a layer at every point: a pair of ActionFormer on I3D features of THUMOS14.
_base_ = ["thumos_i3d_bi_exp1.py", "../_base_/fusions/exp3_1_point.py"]

work_dir = "exps/bi_thumos/actionformer/i3d_exp3_1_point"
