# AdamW with a rate for either tower, warm-up over a share of all steps, then a cosine; fp32 weights, bf16 arithmetic.
lr = 1e-5  # of the visual tower, the pooling and the scales
text_lr = 5e-6
weight_decay = 0.01
warmup_share = 0.1
warmup_steps = None  # in place of warmup_share
lr_shape = "cosine"  # after the warm-up: cosine, linear, constant
clip_grad_norm = 1.0
amp = "bf16"  # None: fp32
# A loss of contrast has no negatives but those of its batch, which accumulated batches do not add to: the batch is
# large, and with model.recompute="video" it takes the memory of one video.
batch_size = 16
num_workers = 4
end_epoch = 10
wandb = None  # or dict(project=...)

optimizer = dict(type="AdamW", weight_decay="${weight_decay}", decay_matrices=True)
scheduler = dict(
    type="WarmupShareLR",
    share="${warmup_share}",
    steps="${warmup_steps}",
    max_epoch="${end_epoch}",
    shape="${lr_shape}",
)
branches = dict(
    vision=dict(
        optimizer=dict(lr="${lr}", **optimizer),
        scheduler=scheduler,
        clip_grad_norm="${clip_grad_norm}",
        trainable=None,
        load_from=None,
    ),
    text=dict(
        optimizer=dict(lr="${text_lr}", **optimizer),
        scheduler=scheduler,
        clip_grad_norm="${clip_grad_norm}",
        trainable=None,
        load_from=None,
    ),
)
del optimizer, scheduler
solver = dict(
    train=dict(batch_size="${batch_size}", num_workers="${num_workers}"),
    test=dict(batch_size=4, num_workers="${num_workers}"),
    amp="${amp}",
    accumulate=1,
    ema=dict(type="NoAverage"),
)
workflow = dict(
    logging_interval=10,
    checkpoint_interval=1,
    keep_last=3,
    val_eval_interval=0,  # a checkpoint must not be chosen by the test set
    val_start_epoch=0,
    end_epoch="${end_epoch}",
    tensorboard=True,
    wandb="${wandb}",
)
hooks = []
work_dir = "exps/fgclip"
