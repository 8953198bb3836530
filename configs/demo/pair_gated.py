# One weight per direction, level and output: a pair of small networks on the demonstration set,
# from trained networks (--for_resume, --back_resume).
_base_ = ["pair_exp1_1.py", "../_base_/fusions/gated.py"]

work_dir = "exps/demo/pair_gated"
