# A frozen CLIP model whose slots a method fills: text prompt, visual prompt, coupling, temporal pooling, data mix.
clip_model = "ViT-B-16-quickgelu"  # a name of open_clip, or a JSON file with a configuration
clip_pretrained = "openai"  # a file of weights, or a name that open_clip downloads
clip_quick_gelu = None  # True: the activation of OpenAI's models, whatever the configuration says
ctx_len = 8  # learned vectors of the text
temporal_pooling = dict(type="MeanPooling")
# factor of the cosines, trained from 1 / 0.07 on as in the original; "weights": that of the CLIP model (100), frozen
logit_scale = "learned:14.2857142857"
videomix = None  # or dict(type="VideoMix", kind="spatial")
use_augmentation = False
checkpointing = False  # of the towers: less memory, a third more time

model = dict(
    type="VideoCLIP",
    clip=dict(model="${clip_model}", pretrained="${clip_pretrained}", quick_gelu="${clip_quick_gelu}"),
    prompt=dict(
        type="PromptLearner",
        ctx_mode="random",
        n_ctx="${ctx_len}",
        ctx_init=None,
        csc=False,
        class_token_position="end",
        init_std=0.02,
    ),
    temporal="${temporal_pooling}",
    frames="${num_frames}",
    text_pooling="eot",
    normalise_frames=False,
    logit_scale="${logit_scale}",
    loss="cross_entropy",
    text_chunk=None,
    checkpoint="${checkpointing}",
)
