# Retrieval by regions of frames whose middle was cut out.
_base_ = ["../../configs/fgclip/demo/retrieval.py"]
custom_imports = dict(imports=["benchmarks.faults.modules"])

dataset = dict(test=dict(type="FaultyRegionVideos", cropped=True))
work_dir = "exps/anomaly_faults/cropped"
