# CoOp on features of UCF-Crime: a learned context of its own for every class; ViT-B/16 of OpenAI.
_base_ = ["coop_vit_b_16.py"]

model = dict(prompt=dict(csc=True))
work_dir = "exps/prompt/ucf_crime/coop_csc_vit_b_16"
