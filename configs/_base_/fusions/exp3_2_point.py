# Experiment 3-2 with a layer at every point over distances: for windows of any length.
_base_ = ["branch.py"]

fusion_lr = 1e-3  # few weights
fusion = dict(type="SplitFusion", boundary=dict(type="PointFC"), cls=dict(type="ClassConv3d"))
