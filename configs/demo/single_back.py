# One small network on the demonstration set played in reverse (reverse-videos, reverse-annotations).
_base_ = ["single_for.py"]

data_root = "data/back_demo"
work_dir = "exps/demo/single_back"
