# Dual-CoOp: a learned context of the text, and learned vectors among the patches of every frame.
_base_ = ["../models/video_clip.py"]

method = "dual_coop"
lr = 1e-3
weight_decay = 1e-2
end_epoch = 40
temporal_pooling = dict(type="AttentionPooling")
short_names = dict(ctx_len_video="model.visual.n_ctx")  # learned vectors of a frame
model = dict(visual=dict(type="VisualContext", n_ctx=8, depth="shallow", init_std=0.02))
