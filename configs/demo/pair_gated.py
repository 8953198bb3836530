# One weight per direction, level and output, on the demonstration set.
_base_ = ["pair_exp1_1.py", "../_base_/fusions/gated.py"]

model = dict(fusion="${fusion}", unfused_share="${unfused_share}")
branches = dict(fusion="${fusion_branch}")
work_dir = "exps/demo/pair_gated"
