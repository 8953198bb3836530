# How a small network is trained from scratch: everything trains, in fp32.
_base_ = ["actionformer.py"]

lr = 1e-3
warmup_epoch = 4
end_epoch = 60

branch = dict(optimizer=dict(backbone=dict(lr="${lr}", weight_decay=0.05)))
solver = dict(
    train=dict(num_workers=1),
    test=dict(batch_size=4),
    ema=dict(decay=0.99, warm_up=True),
)
workflow = dict(
    logging_interval=50,
    checkpoint_interval=20,
    keep_last=1,
    val_eval_interval=30,
    val_start_epoch=0,
)
