# What the first 3-x experiments did, with a pair of small networks on the demonstration set: it fails, as it did then.
_base_ = ["pair_exp1_1.py", "../_base_/fusions/naive.py"]

work_dir = "exps/demo/pair_naive"
