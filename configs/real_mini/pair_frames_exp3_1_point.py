# Experiment 3-1 with a layer at every point: a pair of small networks on data/real-mini, from trained ones.
_base_ = ["pair_frames_exp1_1.py", "../_base_/fusions/exp3_1_point.py"]

work_dir = "exps/real_mini/pair_frames_exp3_1_point"
