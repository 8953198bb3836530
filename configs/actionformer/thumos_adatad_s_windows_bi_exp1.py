# Experiment 1 on window features of both directions, each direction from its own network where a pair made them.
_base_ = ["thumos_adatad_s_windows.py"]

back_data_path = "${feature_root}/back"
dataset = dict(wrap=dict(type="PairedDataset", source="files", back_data_path="${back_data_path}"))
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
work_dir = "exps/bi_thumos/actionformer/adatad_s_windows_exp1"
