# One small network on the demonstration set played in reverse (tools/reverse_videos.py and tools/reverse_annotations.py
# make it).
_base_ = ["single_for.py"]

data_root = "data/back_demo"
work_dir = "exps/demo/single_back"
