# Video-CoOp: a learned context of the text; frozen frames, pooled over time.
_base_ = ["../models/video_clip.py"]

method = "video_coop"
lr = 8e-4
weight_decay = 1e-3
end_epoch = 40
ctx_len = 16
temporal_pooling = dict(type="AttentionPooling")
model = dict(normalise_frames=True)
