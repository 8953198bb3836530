# CoOp on features of UCF-Crime: one learned context of 16 vectors that all classes share; ViT-B/16 of OpenAI.
_base_ = [
    "../../_base_/datasets/ucf_crime_features.py",
    "../../_base_/models/feature_prompts.py",
]

model = dict(prompt=dict(ctx_mode="random", n_ctx=16))
work_dir = "exps/prompt/ucf_crime/coop_vit_b_16"
