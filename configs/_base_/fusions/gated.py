# The smallest fusion that learns: one weight per direction, level and output.
_base_ = ["branch.py"]

fusion_lr = 1e-3
fusion = dict(type="JointFusion", mix=dict(type="GatedAverage"))
