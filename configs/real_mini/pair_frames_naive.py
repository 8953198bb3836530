# What the first 3-x experiments did, with a pair of small networks on data/real-mini: it fails, as it did then.
_base_ = ["pair_frames_exp1_1.py", "../_base_/fusions/naive.py"]

work_dir = "exps/real_mini/pair_frames_naive"
