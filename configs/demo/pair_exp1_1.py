# Experiment 1-1 on the demonstration set: experiment 1 started from trained networks (--for_resume, --back_resume).
_base_ = ["pair_exp1.py"]

lr = 2e-4
warmup_epoch = 1
end_epoch = 10
branch = dict(load_required=True)
work_dir = "exps/demo/pair_exp1_1"
