# Experiment 3-1 with a layer at every point instead of along time: for windows of any length.
_base_ = ["branch.py"]

fusion = dict(type="JointFusion", mix=dict(type="PointFC"))
