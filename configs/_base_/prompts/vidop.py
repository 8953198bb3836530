# ViDOP: visual prompts alone; the texts are class names, a template or descriptions, and stay as they are.
_base_ = ["../models/video_clip.py"]

method = "vidop"
weight_decay = 1e-2
end_epoch = 10
temporal_pooling = dict(type="AttentionPooling")
use_augmentation = True
short_names = dict(
    ctx_len_video="model.visual.n_ctx",
    text_template="model.prompt.template",
    descriptors="model.prompt.descriptors",
)
model = dict(
    prompt=dict(
        _delete_=True,
        type="FixedTexts",
        template="{}",  # hand-crafted: "A video of a person doing {}."
        descriptors=None,  # {class: [sentence, ...]}, or a JSON file of it
        pool="logsumexp",
        temperature=1.0,
    ),
    visual=dict(type="VisualContext", n_ctx=8, depth="shallow", init_std=0.02),  # learned vectors of a frame
)
