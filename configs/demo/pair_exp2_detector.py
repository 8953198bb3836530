# Experiment 2 on the demonstration set with the detectors training along with `bi_adapter`.
_base_ = ["pair_exp1_1.py"]

end_epoch = 20
detector = dict(backbone=dict(backbone=dict(bi_adapter=True)))
branch = dict(
    trainable=["backbone.*.bi_adapter.*", "projection.*", "neck.*", "rpn_head.*"], load_missing=["*.bi_adapter.*"]
)
work_dir = "exps/demo/pair_exp2_detector"
