# A small backbone trained from scratch and a small ActionFormer: minutes on two CPU cores.
in_channels = 96  # from the backbone to the detector
short_names = dict(
    num_classes="detector.rpn_head.num_classes",
    max_seq_len="detector.projection.max_seq_len",
    num_frames="detector.backbone.backbone.total_frames",
)
detector = dict(
    type="ActionFormer",
    projection=dict(
        type="Conv1DTransformerProj",
        in_channels="${in_channels}",
        out_channels=128,
        arch=(2, 1, 4),
        conv_cfg=dict(kernel_size=3, proj_pdrop=0.0),
        norm_cfg=dict(type="LN"),
        attn_cfg=dict(n_head=4, n_mha_win_size=-1),
        path_pdrop=0.1,
        use_abs_pe=False,
        max_seq_len="${window_size}",
    ),
    neck=dict(type="FPNIdentity", in_channels=128, out_channels=128, num_levels=5),
    rpn_head=dict(
        type="ActionFormerHead",
        num_classes=6,
        in_channels=128,
        feat_channels=128,
        num_convs=2,
        cls_prior_prob=0.01,
        prior_generator=dict(
            type="PointGenerator",
            strides=[1, 2, 4, 8, 16],
            regression_range=[(0, 4), (4, 8), (8, 16), (16, 32), (32, 10000)],
        ),
        loss_normalizer=100,
        loss_normalizer_momentum=0.9,
        center_sample="radius",
        center_sample_radius=1.5,
        label_smoothing=0.0,
        loss=dict(cls_loss=dict(type="FocalLoss"), reg_loss=dict(type="DIOULoss")),
        reg_prior=1.0,
    ),
    backbone=dict(
        type="VideoBackbone",
        backbone=dict(
            type="Conv3DAdapter",
            total_frames="${window_size * scale_factor}",
            image_size="${image_size}",
            widths=(24, 48, "${in_channels}"),
        ),
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        clip_frames=None,
        output_length="${window_size}",
    ),
)
model = "${detector}"
