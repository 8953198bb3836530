# Experiment 1 on features of both directions: row j of a backward file belongs to forward position n - 1 - j, as
# tools/extract_features.py writes it.
_base_ = ["thumos_i3d.py"]

back_data_path = "data/back_thumos-14/features/i3d_actionformer_stride4_thumos"
dataset = dict(wrap=dict(type="PairedDataset", source="files", back_data_path="${back_data_path}"))
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
work_dir = "exps/bi_thumos/actionformer/i3d_exp1"
