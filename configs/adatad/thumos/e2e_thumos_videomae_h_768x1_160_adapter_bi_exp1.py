# Experiments 1 and 1-1: a pair of AdaTAD with VideoMAE-H on THUMOS14, one network on the video, one on the video
# reversed; the losses are added. Experiment 1 starts both from `pretrained`; experiment 1-1 from single runs, by
# --for_resume and --back_resume.
_base_ = ["e2e_thumos_videomae_h_768x1_160_adapter.py", "../../_base_/models/pair.py"]

work_dir = "exps/bi_thumos/adatad/e2e_actionformer_videomae_h_768x1_160_adapter_exp1"
