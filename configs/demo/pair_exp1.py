# Experiment 1 on the demonstration set: a pair of small networks, forward and backward.
_base_ = ["single_for.py"]

dataset = dict(wrap=dict(type="PairedDataset", source="device"))
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
work_dir = "exps/demo/pair_exp1"
