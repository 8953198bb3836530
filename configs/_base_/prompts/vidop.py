# ViDOP: visual prompts alone; the texts are class names, a template or descriptions, and stay as they are.
_base_ = ["../models/video_clip.py", "../schedules/prompt_tuning.py"]

method = "vidop"
ctx_len_video = 8  # learned vectors of a frame
weight_decay = 1e-2
end_epoch = 10
temporal_pooling = dict(type="AttentionPooling")
use_augmentation = True
text_template = "{}"  # hand-crafted: "A video of a person doing {}."
descriptors = None  # {class: [sentence, ...]}, or a JSON file of it
model = dict(
    prompt=dict(
        _delete_=True,
        type="FixedTexts",
        template="${text_template}",
        descriptors="${descriptors}",
        pool="logsumexp",
        temperature=1.0,
    ),
    visual=dict(type="VisualContext", n_ctx="${ctx_len_video}", depth="shallow", init_std=0.02),
)
