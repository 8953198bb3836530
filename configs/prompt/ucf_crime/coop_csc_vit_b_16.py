# CoOp with a context of its own for every class.
_base_ = ["coop_vit_b_16.py"]

model = dict(prompt=dict(csc=True))
work_dir = "exps/prompt/ucf_crime/coop_csc_vit_b_16"
