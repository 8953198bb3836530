# Experiment 3-3 on data/real-mini, from trained networks.
_base_ = ["pair_frames_exp1_1.py", "../_base_/fusions/exp3_3.py"]

model = dict(fusion="${fusion}", unfused_share="${unfused_share}")
branches = dict(fusion="${fusion_branch}")
work_dir = "exps/real_mini/pair_frames_exp3_3"
