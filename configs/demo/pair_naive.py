# What the first 3-x experiments did, on the demonstration set: it fails, as it did then.
_base_ = ["pair_exp1_1.py", "../_base_/fusions/naive.py"]

model = dict(fusion="${fusion}", unfused_share="${unfused_share}")
branches = dict(fusion="${fusion_branch}")
work_dir = "exps/demo/pair_naive"
