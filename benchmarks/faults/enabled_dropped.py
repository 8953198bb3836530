# Disabled keyframes are thrown away, so many regions are points in time, which the chosen frames miss.
_base_ = ["enabled_ignored.py"]
custom_imports = dict(imports=["benchmarks.faults.modules"])

dataset = dict(train=dict(type="FaultyRegionVideos", drop_disabled=True))
work_dir = "exps/anomaly_faults/enabled_dropped"
