# Experiment 2: a pair of small networks on the demonstration set, the detectors trained along with `bi_adapter`.
_base_ = ["pair_exp1_1.py"]

end_epoch = 20
detector = dict(backbone=dict(backbone=dict(bi_adapter=True)))
branch = dict(
    trainable=["backbone.*.bi_adapter.*", "projection.*", "neck.*", "rpn_head.*"], load_missing=["*.bi_adapter.*"]
)
work_dir = "exps/demo/pair_exp2_detector"
