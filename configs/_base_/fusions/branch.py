# How a fusion is trained, beside the two networks, on their schedule. The networks' own outputs have a share in the
# losses: without it the weaker network falls behind (docs/experiments.md); 0 is the experiment as first described.
unfused_share = 0.5
fusion_lr = 1e-4
fusion_branch = dict(
    optimizer=dict(type="AdamW", lr="${fusion_lr}", weight_decay=0.0),
    scheduler=dict(type="LinearWarmupCosineAnnealingLR", warmup_epoch="${warmup_epoch}", max_epoch="${end_epoch}"),
    clip_grad_norm=1.0,
)
