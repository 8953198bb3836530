# The middle of every frame, for which the boxes are not meant; tested on such frames too.
_base_ = ["../../configs/fgclip/demo/surveillance.py"]
custom_imports = dict(imports=["benchmarks.faults.modules"])

dataset = dict(train=dict(type="FaultyRegionVideos", cropped=True), test=dict(type="CroppedStream"))
work_dir = "exps/anomaly_faults/cropped"
