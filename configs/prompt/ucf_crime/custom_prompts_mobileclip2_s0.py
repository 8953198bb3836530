# Custom prompts on features of UCF-Crime: one learned context for every class, which starts from its own sentence;
# MobileCLIP2-S0.
_base_ = [
    "../../_base_/datasets/ucf_crime_features.py",
    "../../_base_/models/feature_prompts.py",
    "../../_base_/prompts/ucf_crime.py",
]

clip_model = "MobileCLIP2-S0"
clip_pretrained = "dfndr2b"
model = dict(prompt=dict(ctx_mode="class_init", class_prompts="${class_prompts}"), text_pooling="mean")
hooks = [dict(type="ExportHook"), dict(type="EarlyStopHook", patience=10)]
work_dir = "exps/prompt/ucf_crime/custom_prompts_mobileclip2_s0"
