# Learned prompts of a frozen text tower against features of the image tower it was trained with.
clip_model = "ViT-B-16-quickgelu"  # a name of open_clip, or a JSON file with a configuration
clip_pretrained = "openai"  # a file of weights, or a name that open_clip downloads
clip_quick_gelu = None  # True: the activation of OpenAI's models, whatever the configuration says

model = dict(
    type="VideoFeatureCLIP",
    classes="${class_names}",
    clip=dict(model="${clip_model}", pretrained="${clip_pretrained}", quick_gelu="${clip_quick_gelu}"),
    prompt=dict(
        type="PromptLearner",
        ctx_mode="random",
        n_ctx=None,
        ctx_init=None,
        class_prompts=None,
        csc=False,
        class_token_position="end",
        on_overflow="error",
    ),
    text_pooling="eot",
    temporal=dict(type="MeanPooling"),
    logit_scale="weights",  # that of the CLIP model, or "fixed:X"; frozen unless `trainable` names it
)
