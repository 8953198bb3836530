# Experiment 2: a pair of small networks on the demonstration set, from single runs (--for_resume, --back_resume) and
# frozen; only `bi_adapter`, put after every adapter, trains.
_base_ = ["pair_exp1_1.py"]

end_epoch = 20
detector = dict(backbone=dict(backbone=dict(bi_adapter=True)))
branch = dict(trainable=["backbone.*.bi_adapter.*"], load_missing=["*.bi_adapter.*"])
work_dir = "exps/demo/pair_exp2"
