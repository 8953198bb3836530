# A frozen CLIP model whose slots a method fills: text prompt, visual prompt, coupling, temporal pooling, data mix. Its
# prompts are tuned with AdamW, a cosine by epochs, early stopping by validation accuracy. A data set adds batch_size,
# batches_per_backprop and num_workers.
videomix = None  # or dict(type="VideoMix", kind="spatial")
use_augmentation = False
short_names = dict(
    clip_model="model.clip.model",
    clip_pretrained="model.clip.pretrained",
    clip_quick_gelu="model.clip.quick_gelu",
    ctx_len="model.prompt.n_ctx",
    temporal_pooling="model.temporal",
    logit_scale="model.logit_scale",
    checkpointing="model.checkpoint",
    lr="branches.model.optimizer.lr",
    weight_decay="branches.model.optimizer.weight_decay",
    trainable="branches.model.trainable",
    continue_from="branches.model.continue_from",
    use_fresh_lr_scheduler="branches.model.use_fresh_lr_scheduler",
    end_epoch="workflow.end_epoch",
    wandb="workflow.wandb",
    patience="hooks.*.patience",
    run_id="hooks.*.run_id",
    artifacts="hooks.*.root",
)

model = dict(
    type="VideoCLIP",
    clip=dict(
        model="ViT-B-16-quickgelu",  # a name of open_clip, or a JSON file with a configuration
        pretrained="openai",  # a file of weights, or a name that open_clip downloads
        quick_gelu=None,  # True: the activation of OpenAI's models, whatever the configuration says
    ),
    prompt=dict(
        type="PromptLearner",
        ctx_mode="random",
        n_ctx=8,  # learned vectors of the text
        ctx_init=None,
        csc=False,
        class_token_position="end",
        init_std=0.02,
    ),
    temporal=dict(type="MeanPooling"),
    frames="${num_frames}",
    text_pooling="eot",
    normalise_frames=False,
    # factor of the cosines, trained from 1 / 0.07 on as in the original; "weights": the CLIP model's (100), frozen
    logit_scale="learned:14.2857142857",
    loss="cross_entropy",
    text_chunk=None,
    checkpoint=False,  # of the towers: less memory, a third more time
)

branches = dict(
    model=dict(
        optimizer=dict(type="AdamW", lr=8e-5, weight_decay=0.0),
        scheduler=dict(type="EpochCosineAnnealingLR", max_epoch="${end_epoch}", eta_min=1e-6),
        clip_grad_norm=1.0,
        trainable=None,  # all but the towers; ["pooling.*"]: just the pooling
        load_from=None,
        # a checkpoint, its folder, or method/dataset/run_id below models/: takes the tensors that match
        continue_from=None,
        use_fresh_lr_scheduler=True,  # False: the schedule goes on where that of continue_from was
    ),
)
loader = dict(batch_size="${batch_size}", num_workers="${num_workers}")
solver = dict(
    train=dict(**loader, drop_last=False),
    test=loader,
    amp=None,
    accumulate="${batches_per_backprop}",
    ema=dict(type="NoAverage"),
)
del loader
workflow = dict(
    logging_interval=50,
    checkpoint_interval=1,
    keep_last=2,
    val_eval_interval=1,
    val_start_epoch=0,
    end_epoch=30,
    tensorboard=True,
    wandb=None,  # or dict(project=...)
)
hooks = [
    dict(type="EarlyStopHook", patience=3),  # epochs without a better validation accuracy
    dict(
        type="ArtifactsHook",  # what a run leaves is in root/method/dataset/run_id too
        folder="${method}/${dataset_name}",
        run_id=None,  # None: by the number of the run (--id)
        root="models",
    ),
]
work_dir = "exps/prompt/${dataset_name}/${method}"
