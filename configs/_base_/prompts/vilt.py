# ViLT: prompts of both towers, in some layers learned for one and mapped to the other; pulled towards hand-made texts.
_base_ = ["../models/video_clip.py"]

method = "vilt"
weight_decay = 1e-2
short_names = dict(
    ctx_len_video="model.visual.n_ctx",
    mapped_text_layers="model.coupling.text_to_visual",
    mapped_visual_layers="model.coupling.visual_to_text",
    regularisation="model.regularisation.weight",
)
model = dict(
    visual=dict(type="VisualContext", n_ctx=8, depth="shallow", init_std=0.02),  # learned vectors of a frame
    coupling=dict(
        type="MappedPrompts",
        n_ctx=4,
        text_to_visual=[0, 1, 2, 3, 4],  # text prompts are learned, visual ones follow
        visual_to_text=[5, 6, 7, 8, 9],  # the other way round
    ),
    regularisation=dict(weight=0.1, template="A video of a person doing {}."),
)
