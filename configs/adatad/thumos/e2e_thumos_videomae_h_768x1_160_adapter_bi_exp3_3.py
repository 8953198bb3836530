# Experiment 3-3: a pair of AdaTAD with VideoMAE-H on THUMOS14,
# from single runs (--for_resume, --back_resume) or, without them, from `pretrained`.
_base_ = ["e2e_thumos_videomae_h_768x1_160_adapter_bi_exp1.py", "../../_base_/fusions/exp3_3.py"]

work_dir = "exps/bi_thumos/adatad/e2e_actionformer_videomae_h_768x1_160_adapter_exp3_3"
