# ViLT: prompts of both towers, in some layers learned for one and mapped to the other; pulled towards hand-made texts.
_base_ = ["../models/video_clip.py", "../schedules/prompt_tuning.py"]

method = "vilt"
ctx_len_video = 8  # learned vectors of a frame
weight_decay = 1e-2
mapped_text_layers = [0, 1, 2, 3, 4]  # text prompts are learned, visual ones follow
mapped_visual_layers = [5, 6, 7, 8, 9]  # the other way round
regularisation = 0.1
model = dict(
    visual=dict(type="VisualContext", n_ctx="${ctx_len_video}", depth="shallow", init_std=0.02),
    coupling=dict(
        type="MappedPrompts",
        n_ctx=4,
        text_to_visual="${mapped_text_layers}",
        visual_to_text="${mapped_visual_layers}",
    ),
    regularisation=dict(weight="${regularisation}", template="A video of a person doing {}."),
)
