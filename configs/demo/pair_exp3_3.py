# Experiment 3-3: a pair of small networks on the demonstration set,
# from trained networks (--for_resume, --back_resume).
_base_ = ["pair_exp1_1.py", "../_base_/fusions/exp3_3.py"]

work_dir = "exps/demo/pair_exp3_3"
