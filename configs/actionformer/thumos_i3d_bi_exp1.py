# Experiment 1: a pair of ActionFormer on I3D features of THUMOS14, both directions. Row j of a backward file belongs to
# forward position n - 1 - j, as opentad-bi extract-features writes it.
_base_ = ["thumos_i3d.py", "../_base_/models/pair.py"]

back_files = "data/back_thumos-14/features/i3d_actionformer_stride4_thumos"
dataset = dict(wrap=dict(source="files", back_data_path=back_files))
del back_files
work_dir = "exps/bi_thumos/actionformer/i3d_exp1"
