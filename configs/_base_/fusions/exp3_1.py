# Experiment 3-1: one fully connected layer along time over distances and class logits, per level (joined=True: one
# over all levels at once).
_base_ = ["branch.py"]

fusion = dict(type="JointFusion", mix=dict(type="TimeFC", joined=False))
