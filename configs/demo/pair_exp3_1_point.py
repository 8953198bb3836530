# Experiment 3-1 at every point on the demonstration set, from trained networks (--for_resume, --back_resume).
_base_ = ["pair_exp1_1.py", "../_base_/fusions/exp3_1_point.py"]

model = dict(fusion="${fusion}", unfused_share="${unfused_share}")
branches = dict(fusion="${fusion_branch}")
work_dir = "exps/demo/pair_exp3_1_point"
