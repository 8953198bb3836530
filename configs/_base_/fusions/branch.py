# How a fusion is trained, beside the two networks of models/pair.py, on their schedule. The networks' own outputs have
# a weight in the losses: without it the weaker network falls behind (docs/experiments.md); 0 is the experiment as first
# described.
short_names = dict(
    fusion="model.fusion",
    aux_loss_weight="model.aux_loss_weight",
    fusion_lr="fusion_branch.optimizer.lr",
)
model = dict(fusion=None, aux_loss_weight=0.5)
fusion_branch = dict(
    optimizer=dict(type="AdamW", lr=1e-4, weight_decay=0.0),
    scheduler=dict(type="LinearWarmupCosineAnnealingLR", warmup_epoch="${warmup_epoch}", max_epoch="${end_epoch}"),
    clip_grad_norm=1.0,
)
branches = dict(fusion="${fusion_branch}")
