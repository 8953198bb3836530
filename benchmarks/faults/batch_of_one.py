# One video in a batch, eight batches accumulated: nothing to choose from.
_base_ = ["../../configs/fgclip/demo/surveillance.py"]
custom_imports = dict(imports=["benchmarks.faults.modules"])

model = dict(type="LonelyFGCLIP")
batch_size = 1
solver = dict(accumulate=8)
work_dir = "exps/anomaly_faults/batch_of_one"
