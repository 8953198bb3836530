# Experiment 3-3: a fully connected layer along time over distances, the mean of class logits.
_base_ = ["branch.py"]

fusion = dict(type="SplitFusion", boundary=dict(type="TimeFC", joined=False), cls=dict(type="ClassMean"))
