# Experiment 3-1 with a layer at every point instead of along time: for windows of any length.
_base_ = ["branch.py"]

fusion_lr = 1e-3  # few weights
fusion = dict(type="JointFusion", mix=dict(type="PointFC"))
