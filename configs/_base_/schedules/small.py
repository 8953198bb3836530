# How a small network is trained from scratch: everything trains, in fp32. `branch` is used once or, by a pair, twice.
lr = 1e-3
warmup_epoch = 4
end_epoch = 60

branch = dict(
    optimizer=dict(
        type="AdamW",
        lr="${lr}",
        weight_decay=0.05,
        paramwise=True,
        backbone=dict(lr="${lr}", weight_decay=0.05),
    ),
    scheduler=dict(type="LinearWarmupCosineAnnealingLR", warmup_epoch="${warmup_epoch}", max_epoch="${end_epoch}"),
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
    ema=dict(type="ExponentialMovingAverage", decay=0.99),
)
workflow = dict(
    logging_interval=50,
    checkpoint_interval=20,
    keep_last=1,
    val_eval_interval=30,
    val_start_epoch=0,
    end_epoch="${end_epoch}",
    tensorboard=True,
    wandb=None,
)
