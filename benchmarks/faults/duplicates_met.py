# The same in batches that are drawn without a look at the captions: a quarter of the videos share one sentence.
_base_ = ["duplicates.py"]
custom_imports = dict(imports=["benchmarks.faults.modules"])

dataset = dict(train=dict(type="FaultyRegionVideos", any_order=True))
work_dir = "exps/anomaly_faults/duplicates_met"
