# The smallest fusion that learns: one weight per direction, level and output.
_base_ = ["branch.py"]

fusion = dict(type="JointFusion", mix=dict(type="GatedAverage"))
