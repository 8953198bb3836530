# How one AdaTAD network is trained: adapters and detector, the ViT frozen, in fp16.
_base_ = ["actionformer.py"]

adapter_lr = 2e-4
end_epoch = 60
pretrained = None

branch = dict(
    optimizer=dict(
        backbone=dict(custom=[dict(name="adapter", lr="${adapter_lr}", weight_decay=0.05)], exclude=["backbone"]),
    ),
    scheduler=dict(max_epoch=100),  # the rate is still high when training ends
    trainable=["backbone.*.adapter.*", "projection.*", "neck.*", "rpn_head.*"],
    pretrained=dict(
        path="${pretrained}",
        module="backbone.model.backbone",
        missing=["pos_embed", "blocks.*.adapter.*", "fc_norm.*"],
        unexpected=["cls_head.*", "fc_norm.*", "norm.*"],
    ),
)
solver = dict(
    test=dict(batch_size=2, num_workers=2),
    amp="fp16",
    fp16_compress=True,
    static_graph=True,
)
workflow = dict(logging_interval=50, checkpoint_interval=2, val_eval_interval=2, val_start_epoch=40)
