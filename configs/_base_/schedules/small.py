# How a small network is trained from scratch: everything trains, in fp32.
short_names = dict(
    lr="branch.optimizer.lr",
    warmup_epoch="branch.scheduler.warmup_epoch",
    end_epoch="workflow.end_epoch",
    wandb="workflow.wandb",
)
branch = dict(
    optimizer=dict(
        type="AdamW", lr=1e-3, weight_decay=0.05, paramwise=True, backbone=dict(lr="${lr}", weight_decay=0.05)
    ),
    scheduler=dict(type="LinearWarmupCosineAnnealingLR", warmup_epoch=4, max_epoch="${end_epoch}"),
    clip_grad_norm=1.0,
    trainable=None,
    load_from=None,
    load_missing=[],
)
branches = dict(model="${branch}")
solver = dict(
    train=dict(batch_size=2, num_workers=1),
    test=dict(batch_size=4, num_workers=1),
    amp=None,
    accumulate=1,
    ema=dict(type="ExponentialMovingAverage", decay=0.99, warm_up=True),
)
workflow = dict(
    logging_interval=50,
    checkpoint_interval=20,
    keep_last=1,
    val_eval_interval=30,
    val_start_epoch=0,
    end_epoch=60,
    tensorboard=True,
    wandb=None,  # or dict(project=...)
)
