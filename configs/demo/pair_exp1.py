# Experiment 1 on the demonstration set: a pair of small networks, forward and backward. What only one of the two
# believes in counts half in the merged results, and both have a say in where a segment ends.
_base_ = ["single_for.py"]

dataset = dict(wrap=dict(type="PairedDataset", source="device"))
model = dict(_delete_=True, type="BiDirectional", for_model="${detector}", back_model="${detector}")
branches = dict(_delete_=True, for_model="${branch}", back_model="${branch}")
evaluation = dict(agreement=1.0)
work_dir = "exps/demo/pair_exp1"
