# What the first 3-x experiments did, on data/real-mini: it fails, as it did then.
_base_ = ["pair_frames_exp1_1.py", "../_base_/fusions/naive.py"]

model = dict(fusion="${fusion}", unfused_share="${unfused_share}")
branches = dict(fusion="${fusion_branch}")
work_dir = "exps/real_mini/pair_frames_naive"
