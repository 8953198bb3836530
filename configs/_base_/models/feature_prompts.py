# Learned prompts of a frozen text tower against features of the image tower it was trained with. They are learned as in
# CoOp: SGD, one epoch of warm-up, then a cosine; no average of the weights.
short_names = dict(
    clip_model="model.clip.model",
    clip_pretrained="model.clip.pretrained",
    clip_quick_gelu="model.clip.quick_gelu",
    lr="branches.model.optimizer.lr",
    warmup_epoch="branches.model.scheduler.warmup_epoch",
    batch_size="solver.train.batch_size",
    num_workers="solver.*.num_workers",
    end_epoch="workflow.end_epoch",
    wandb="workflow.wandb",
)

model = dict(
    type="VideoFeatureCLIP",
    classes="${class_names}",
    clip=dict(
        model="ViT-B-16-quickgelu",  # a name of open_clip, or a JSON file with a configuration
        pretrained="openai",  # a file of weights, or a name that open_clip downloads
        quick_gelu=None,  # True: the activation of OpenAI's models, whatever the configuration says
    ),
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

branches = dict(
    model=dict(
        optimizer=dict(type="SGD", lr=0.002, momentum=0.9, weight_decay=5e-4),
        scheduler=dict(
            type="ConstantWarmupCosineAnnealingLR", warmup_epoch=1, max_epoch="${end_epoch}", warmup_lr=1e-5
        ),
        clip_grad_norm=None,
        trainable=["prompt_learner.*"],
        load_from=None,
    ),
)
solver = dict(
    train=dict(batch_size=32, num_workers=0),  # rows of mapped files are read faster than workers can send them
    test=dict(batch_size=512, num_workers=0),
    amp=None,
    accumulate=1,
    ema=dict(type="NoAverage"),
)
workflow = dict(
    logging_interval=200,
    checkpoint_interval=1,
    keep_last=None,
    val_eval_interval=1,
    val_start_epoch=0,
    end_epoch=50,
    tensorboard=True,
    wandb=None,  # or dict(project=...)
)
hooks = [dict(type="ExportHook")]
