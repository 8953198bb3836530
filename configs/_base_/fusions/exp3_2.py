# Experiment 3-2: a fully connected layer along time over distances, a 3-D convolution over the stacked class logits.
_base_ = ["branch.py"]

fusion = dict(type="SplitFusion", boundary=dict(type="TimeFC", joined=False), cls=dict(type="ClassConv3d"))
