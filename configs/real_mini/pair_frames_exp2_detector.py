# Experiment 2 on data/real-mini with the detectors training along with `bi_adapter`.
_base_ = ["pair_frames_exp2.py"]

branch = dict(trainable=["backbone.*.bi_adapter.*", "projection.*", "neck.*", "rpn_head.*"])
work_dir = "exps/real_mini/pair_frames_exp2_detector"
