# How prompts are learned (CoOp): SGD, one epoch of warm-up, then a cosine; no average of the weights.
lr = 0.002
batch_size = 32
num_workers = 0  # rows of mapped files are read faster than workers can send them
warmup_epoch = 1
end_epoch = 50
wandb = None  # or dict(project=...)

branches = dict(
    model=dict(
        optimizer=dict(type="SGD", lr="${lr}", momentum=0.9, weight_decay=5e-4),
        scheduler=dict(
            type="ConstantWarmupCosineAnnealingLR",
            warmup_epoch="${warmup_epoch}",
            max_epoch="${end_epoch}",
            warmup_lr=1e-5,
        ),
        clip_grad_norm=None,
        trainable=["prompt_learner.*"],
        load_from=None,
    ),
)
solver = dict(
    train=dict(batch_size="${batch_size}", num_workers="${num_workers}"),
    test=dict(batch_size=512, num_workers="${num_workers}"),
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
    end_epoch="${end_epoch}",
    tensorboard=True,
    wandb="${wandb}",
)
hooks = [dict(type="ExportHook")]
