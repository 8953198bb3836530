# Captions that say the same are negatives of each other.
_base_ = ["../../configs/fgclip/demo/surveillance.py"]

model = dict(duplicates="negatives")
work_dir = "exps/anomaly_faults/duplicates"
