# Experiment 2 on the demonstration set with the detectors training along with `bi_adapter`.
_base_ = ["pair_exp2.py"]

branch = dict(trainable=["backbone.*.bi_adapter.*", "projection.*", "neck.*", "rpn_head.*"])
work_dir = "exps/demo/pair_exp2_detector"
