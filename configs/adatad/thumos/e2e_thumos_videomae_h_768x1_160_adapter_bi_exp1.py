# Experiments 1 and 1-1: two networks, one on the video, one on the video reversed; the losses are added.
# Experiment 1 starts both from `pretrained`; experiment 1-1 from single runs, by --for_resume and --back_resume.
_base_ = ["e2e_thumos_videomae_h_768x1_160_adapter.py"]

dataset = dict(wrap=dict(type="PairedDataset", source="device"))
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
work_dir = "exps/bi_thumos/adatad/e2e_actionformer_videomae_h_768x1_160_adapter_exp1"
