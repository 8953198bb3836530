# How one AdaTAD network is trained: adapters and detector, the ViT frozen, in fp16.
short_names = dict(
    lr="branch.optimizer.lr",
    adapter_lr="branch.optimizer.backbone.custom.0.lr",
    pretrained="branch.pretrained.path",
    warmup_epoch="branch.scheduler.warmup_epoch",
    end_epoch="workflow.end_epoch",
    wandb="workflow.wandb",
)
branch = dict(
    optimizer=dict(
        type="AdamW",
        lr=1e-4,
        weight_decay=0.05,
        paramwise=True,
        backbone=dict(custom=[dict(name="adapter", lr=2e-4, weight_decay=0.05)], exclude=["backbone"]),
    ),
    # the rate is still high when training ends
    scheduler=dict(type="LinearWarmupCosineAnnealingLR", warmup_epoch=5, max_epoch=100),
    clip_grad_norm=1.0,
    trainable=["backbone.*.adapter.*", "projection.*", "neck.*", "rpn_head.*"],
    load_from=None,
    load_missing=[],
    pretrained=dict(
        path=None,
        module="backbone.model.backbone",
        missing=["pos_embed", "blocks.*.adapter.*", "fc_norm.*"],
        unexpected=["cls_head.*", "fc_norm.*", "norm.*"],
    ),
)
branches = dict(model="${branch}")
solver = dict(
    train=dict(batch_size=2, num_workers=2),
    test=dict(batch_size=2, num_workers=2),
    amp="fp16",
    accumulate=1,
    ema=dict(type="ExponentialMovingAverage", decay=0.999, warm_up=False),  # as the reference; True for short runs
    fp16_compress=True,
    static_graph=True,
)
workflow = dict(
    logging_interval=50,
    checkpoint_interval=2,
    keep_last=None,
    val_eval_interval=2,
    val_start_epoch=40,
    end_epoch=60,
    tensorboard=True,
    wandb=None,  # or dict(project=...)
)
