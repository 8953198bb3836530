# Both towers of CLIP learn from captions of videos and of regions in them; frames are scored by texts of the classes,
# which a data set adds (frame_prompts). AdamW with a rate for either tower, warm-up over a part of all steps, then a
# cosine; fp32 weights, bf16 arithmetic.
short_names = dict(
    clip_model="model.clip.model",
    clip_pretrained="model.clip.pretrained",
    clip_quick_gelu="model.clip.quick_gelu",
    global_feature="model.global_feature",
    region_weight="model.region_weight",
    hard_weight="model.hard_weight",
    bank="model.bank",
    queue="model.queue",
    frame_chunk="model.frame_chunk",
    recompute="model.recompute",
    context_length="model.context_length",
    lr="branches.vision.optimizer.lr",
    text_lr="branches.text.optimizer.lr",
    weight_decay="branches.*.optimizer.weight_decay",
    warmup_ratio="branches.*.scheduler.warmup_ratio",
    warmup_steps="branches.*.scheduler.steps",
    lr_shape="branches.*.scheduler.shape",
    clip_grad_norm="branches.*.clip_grad_norm",
    amp="solver.amp",
    batch_size="solver.train.batch_size",
    num_workers="solver.*.num_workers",
    end_epoch="workflow.end_epoch",
    wandb="workflow.wandb",
)

model = dict(
    type="FGCLIP",
    clip=dict(
        model="ViT-B-32-quickgelu",  # a name of open_clip, or a JSON file with a configuration
        pretrained="openai",  # a file of weights, or a name that open_clip downloads
        quick_gelu=None,  # True: the activation of OpenAI's models, whatever the configuration says
    ),
    classes="${class_names}",
    normal_class="${normal_class}",
    prompts="${frame_prompts}",
    template="a surveillance video of {}",
    global_feature=dict(type="MeanPooling"),  # of a video; type="TransformerPooling" starts as the mean
    frames="${num_frames}",
    region_weight=0.1,  # of the loss of regions; 0: without
    hard_weight=0.0,  # of telling a region's caption from the wrong ones that the annotation has for it
    duplicates="exclude",
    bank=False,  # True: texts of other classes are negatives as well
    queue=0,  # pairs of former batches that are negatives as well
    queue_warmup=200,
    dense="value",
    frame_chunk=None,  # most frames in one pass of the tower; None: all of a piece
    recompute="video",  # the memory of one video at any batch; "block": of a block; None: all is kept
    context_length=None,  # tokens of the caption of a video; None: those of the tower (77), 248: stretched positions
    top=3,
    region_score=0.0,
)

optimizer = dict(type="AdamW", weight_decay=0.01, decay_matrices=True)
scheduler = dict(
    type="WarmupRatioLR",
    warmup_ratio=0.1,
    steps=None,  # in place of the ratio
    max_epoch="${end_epoch}",
    shape="cosine",  # after the warm-up: cosine, linear, constant
)
tower = dict(scheduler=scheduler, clip_grad_norm=1.0, trainable=None, load_from=None)
branches = dict(
    vision=dict(optimizer=dict(lr=1e-5, **optimizer), **tower),  # the visual tower, the pooling and the scales
    text=dict(optimizer=dict(lr=5e-6, **optimizer), **tower),
)
del optimizer, scheduler, tower
solver = dict(
    # A loss of contrast has no negatives but those of its batch, which accumulated batches do not add to: the batch is
    # large, and with model.recompute="video" it takes the memory of one video.
    train=dict(batch_size=16, num_workers=4),
    test=dict(batch_size=4, num_workers=4),
    amp="bf16",  # None: fp32
    accumulate=1,
    ema=dict(type="NoAverage"),
)
workflow = dict(
    logging_interval=10,
    checkpoint_interval=1,
    keep_last=3,
    val_eval_interval=0,  # a checkpoint must not be chosen by the test set
    val_start_epoch=0,
    end_epoch=10,
    tensorboard=True,
    wandb=None,  # or dict(project=...)
)
hooks = []
work_dir = "exps/fgclip"
