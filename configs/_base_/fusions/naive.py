# Experiment 3-1 as it was first tried, to show why it failed: arrays flipped with their padding, one layer over all
# levels, random weights.
_base_ = ["branch.py"]

aux_loss_weight = 0.0
fusion = dict(type="JointFusion", alignment="flip", mix=dict(type="TimeFC", joined=True, start="random"))
