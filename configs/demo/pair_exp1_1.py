# Experiment 1-1: a pair of small networks on the demonstration set, from trained ones (--for_resume, --back_resume).
_base_ = ["pair_exp1.py"]

warmup_epoch = 2
end_epoch = 50
branch = dict(load_required=True)
workflow = dict(val_eval_interval=10)
work_dir = "exps/demo/pair_exp1_1"
