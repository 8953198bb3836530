# Experiment 2: a pair of small networks on data/real-mini, from trained ones and frozen; only `bi_adapter` trains.
_base_ = ["pair_frames_exp1_1.py"]

detector = dict(backbone=dict(backbone=dict(bi_adapter=True)))
branch = dict(trainable=["backbone.*.bi_adapter.*"], load_missing=["*.bi_adapter.*"])
work_dir = "exps/real_mini/pair_frames_exp2"
