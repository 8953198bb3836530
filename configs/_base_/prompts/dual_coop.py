# Dual-CoOp: a learned context of the text, and learned vectors among the patches of every frame.
_base_ = ["../models/video_clip.py", "../schedules/prompt_tuning.py"]

method = "dual_coop"
ctx_len_video = 8  # learned vectors of a frame
lr = 1e-3
weight_decay = 1e-2
end_epoch = 40
temporal_pooling = dict(type="AttentionPooling")
model = dict(visual=dict(type="VisualContext", n_ctx="${ctx_len_video}", depth="shallow", init_std=0.02))
