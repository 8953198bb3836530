# Experiment 2: a pair of AdaTAD with VideoMAE-H on THUMOS14, both networks from single runs (--for_resume,
# --back_resume) and frozen; a new adapter, `bi_adapter`, after the adapter of every block is all that trains.
_base_ = ["e2e_thumos_videomae_h_768x1_160_adapter_bi_exp1.py"]

detector = dict(backbone=dict(backbone=dict(bi_adapter=True)))
branch = dict(
    optimizer=dict(backbone=dict(custom=[dict(name="bi_adapter", lr="${adapter_lr}", weight_decay=0.05)])),
    trainable=["backbone.*.bi_adapter.*"],
    pretrained=dict(missing=["pos_embed", "blocks.*.adapter.*", "blocks.*.bi_adapter.*", "fc_norm.*"]),
    load_missing=["*.bi_adapter.*"],
    load_required=True,
)
work_dir = "exps/bi_thumos/adatad/e2e_actionformer_videomae_h_768x1_160_adapter_exp2"
