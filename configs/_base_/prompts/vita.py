# ViTA (Vita-CLIP): summary, local and global prompts of the video in every layer of the visual tower; text context.
_base_ = ["../models/video_clip.py", "../schedules/prompt_tuning.py"]

method = "vita"
ctx_len_video = 8  # global vectors of a layer
weight_decay = 0.2
end_epoch = 20
summary_heads = 12
videomix = dict(_delete_=True, type="VideoMix", kind="spatial")
model = dict(visual=dict(type="VideoSummary", n_global="${ctx_len_video}", heads="${summary_heads}", conditioning=True))
