# How a fusion is trained, beside the two networks, on their schedule.
unfused_share = 0.0  # of the losses, that of the networks' own outputs
fusion_lr = 1e-4
fusion_branch = dict(
    optimizer=dict(type="AdamW", lr="${fusion_lr}", weight_decay=0.0),
    scheduler=dict(type="LinearWarmupCosineAnnealingLR", warmup_epoch="${warmup_epoch}", max_epoch="${end_epoch}"),
    clip_grad_norm=1.0,
)
