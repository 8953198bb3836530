# One weight per direction, level and output: a pair of small networks on data/real-mini, from trained ones.
_base_ = ["pair_frames_exp1_1.py", "../_base_/fusions/gated.py"]

work_dir = "exps/real_mini/pair_frames_gated"
