# Experiment 2: a pair of AdaTAD with VideoMAE-H on THUMOS14, the detector trained along with `bi_adapter`, as the
# reported numbers were made.
_base_ = ["e2e_thumos_videomae_h_768x1_160_adapter_bi_exp2.py"]

branch = dict(trainable=["backbone.*.bi_adapter.*", "projection.*", "neck.*", "rpn_head.*"])
work_dir = "exps/bi_thumos/adatad/e2e_actionformer_videomae_h_768x1_160_adapter_exp2_detector"
