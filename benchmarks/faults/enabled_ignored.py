# A box lives from the first to the last keyframe, whatever `enabled` says, and may be missed by the chosen frames.
_base_ = ["../../configs/fgclip/demo/surveillance.py"]

dataset = dict(train=dict(enabled_mode="ignore", policy="drop"))
work_dir = "exps/anomaly_faults/enabled_ignored"
