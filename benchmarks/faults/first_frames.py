# Only the first 145 frames are looked at: 34 % of the abnormal videos have their first keyframe later, the share that
# 512 frames miss of UCF-Crime.
_base_ = ["../../configs/fgclip/demo/surveillance.py"]
custom_imports = dict(imports=["benchmarks.faults.modules"])

dataset = dict(train=dict(type="FaultyRegionVideos", first_frames=145))
work_dir = "exps/anomaly_faults/first_frames"
