# Experiment 3-3 with distances mixed at every point on the demonstration set, from trained networks
# (--for_resume, --back_resume).
_base_ = ["pair_exp1_1.py", "../_base_/fusions/exp3_3_point.py"]

model = dict(fusion="${fusion}", unfused_share="${unfused_share}")
branches = dict(fusion="${fusion_branch}")
work_dir = "exps/demo/pair_exp3_3_point"
