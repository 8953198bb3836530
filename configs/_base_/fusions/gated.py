# The smallest fusion that learns: one weight per direction, level and output.
_base_ = ["branch.py"]

fusion_lr = 1e-3  # few weights
fusion = dict(type="JointFusion", mix=dict(type="GatedAverage"))
