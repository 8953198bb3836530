# ViTA (Vita-CLIP): summary, local and global prompts of the video in every layer of the visual tower; text context.
_base_ = ["../models/video_clip.py"]

method = "vita"
weight_decay = 0.2
end_epoch = 20
videomix = dict(_delete_=True, type="VideoMix", kind="spatial")
short_names = dict(ctx_len_video="model.visual.n_global", summary_heads="model.visual.heads")  # of a layer
model = dict(visual=dict(type="VideoSummary", n_global=8, heads=12, conditioning=True))
