# Experiment 1-1: a pair of small networks on data/real-mini, from trained ones (--for_resume, --back_resume).
_base_ = ["pair_frames.py"]

warmup_epoch = 1
end_epoch = 10
branch = dict(load_required=True)
workflow = dict(val_eval_interval=10)
work_dir = "exps/real_mini/pair_frames_exp1_1"
