# How prompts of video models are tuned: AdamW, a cosine by epochs, early stopping by validation accuracy.
lr = 8e-5
weight_decay = 0.0
end_epoch = 30
patience = 3  # epochs without a better validation accuracy
trainable = None  # all but the towers; ["pooling.*"]: just the pooling
continue_from = None  # a checkpoint, its folder, or method/dataset/run_id below models/: takes the tensors that match
use_fresh_lr_scheduler = True  # False: the schedule goes on where that of continue_from was
artifacts = "models"  # what a run leaves is in artifacts/method/dataset/run_id too
run_id = None  # None: by the number of the run (--id)
wandb = None  # or dict(project=...)

branches = dict(
    model=dict(
        optimizer=dict(type="AdamW", lr="${lr}", weight_decay="${weight_decay}"),
        scheduler=dict(type="EpochCosineAnnealingLR", max_epoch="${end_epoch}", eta_min=1e-6),
        clip_grad_norm=1.0,
        trainable="${trainable}",
        load_from=None,
        continue_from="${continue_from}",
        use_fresh_lr_scheduler="${use_fresh_lr_scheduler}",
    ),
)
solver = dict(
    train=dict(batch_size="${batch_size}", num_workers="${num_workers}", drop_last=False),
    test=dict(batch_size="${batch_size}", num_workers="${num_workers}"),
    amp=None,
    accumulate="${batches_per_backprop}",
    ema=dict(type="NoAverage"),
)
workflow = dict(
    logging_interval=50,
    checkpoint_interval=1,
    keep_last=2,
    val_eval_interval=1,
    val_start_epoch=0,
    end_epoch="${end_epoch}",
    tensorboard=True,
    wandb="${wandb}",
)
hooks = [
    dict(type="EarlyStopHook", patience="${patience}"),
    dict(type="ArtifactsHook", folder="${method}/${dataset_name}", run_id="${run_id}", root="${artifacts}"),
]
work_dir = "exps/prompt/${dataset_name}/${method}"
