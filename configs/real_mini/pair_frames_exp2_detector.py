# Experiment 2: a pair of small networks on data/real-mini, the detectors trained along with `bi_adapter`.
_base_ = ["pair_frames_exp2.py"]

branch = dict(trainable=["backbone.*.bi_adapter.*", "projection.*", "neck.*", "rpn_head.*"])
work_dir = "exps/real_mini/pair_frames_exp2_detector"
