# Experiment 2 as its reported numbers were made: the detector trains along with `bi_adapter`.
_base_ = ["e2e_thumos_videomae_h_768x1_160_adapter_bi_exp2.py"]

branch = dict(trainable=["backbone.*.bi_adapter.*", "projection.*", "neck.*", "rpn_head.*"])
work_dir = "exps/bi_thumos/adatad/e2e_actionformer_videomae_h_768x1_160_adapter_exp2_detector"
