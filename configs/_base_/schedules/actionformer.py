# How one detector without a frozen part is trained, in fp32. `branch` is used once or, by a pair, twice.
short_names = dict(
    lr="branch.optimizer.lr",
    warmup_epoch="branch.scheduler.warmup_epoch",
    end_epoch="workflow.end_epoch",
    wandb="workflow.wandb",
)
branch = dict(
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=0.05, paramwise=True),
    scheduler=dict(type="LinearWarmupCosineAnnealingLR", warmup_epoch=5, max_epoch="${end_epoch}"),
    clip_grad_norm=1.0,
    trainable=None,
    load_from=None,
    load_missing=[],
)
branches = dict(model="${branch}")
solver = dict(
    train=dict(batch_size=2, num_workers=2),
    test=dict(batch_size=1, num_workers=1),
    amp=None,
    accumulate=1,
    ema=dict(type="ExponentialMovingAverage", decay=0.999, warm_up=False),  # as the reference; True for short runs
)
workflow = dict(
    logging_interval=20,
    checkpoint_interval=1,
    keep_last=None,
    val_eval_interval=1,
    val_start_epoch=30,
    end_epoch=35,
    tensorboard=True,
    wandb=None,  # or dict(project=...)
)
