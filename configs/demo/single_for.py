# One small network from scratch on the demonstration set, forward: a 3-D convolutional backbone with adapters, and
# the ActionFormer detector.
_base_ = ["../_base_/datasets/demo.py", "../_base_/models/small.py", "../_base_/schedules/small.py"]

work_dir = "exps/demo/single_for"
