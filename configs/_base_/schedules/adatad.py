# How one AdaTAD network is trained: adapters and detector, the ViT frozen. `branch` is used once or, by a pair, twice.
adapter_lr = 2e-4
end_epoch = 60
pretrained = None

branch = dict(
    optimizer=dict(
        type="AdamW",
        lr=1e-4,
        weight_decay=0.05,
        paramwise=True,
        backbone=dict(custom=[dict(name="adapter", lr="${adapter_lr}", weight_decay=0.05)], exclude=["backbone"]),
    ),
    scheduler=dict(type="LinearWarmupCosineAnnealingLR", warmup_epoch=5, max_epoch=100),
    clip_grad_norm=1.0,
    trainable=["backbone.*.adapter.*", "projection.*", "neck.*", "rpn_head.*"],
    pretrained=dict(
        path="${pretrained}",
        module="backbone.model.backbone",
        missing=["pos_embed", "blocks.*.adapter.*", "fc_norm.*"],
        unexpected=["cls_head.*", "fc_norm.*", "norm.*"],
    ),
    load_from=None,
    load_missing=[],
)
branches = dict(model="${branch}")

solver = dict(
    train=dict(batch_size=2, num_workers=2),
    test=dict(batch_size=2, num_workers=2),
    amp="fp16",
    fp16_compress=True,
    static_graph=True,
    accumulate=1,
    ema=dict(type="ExponentialMovingAverage", decay=0.999),
)
workflow = dict(
    logging_interval=50,
    checkpoint_interval=2,
    keep_last=None,
    val_eval_interval=2,
    val_start_epoch=40,
    end_epoch="${end_epoch}",
    tensorboard=True,
    wandb=None,
)
