# AdaTAD (Liu et al., CVPR 2024): a frozen VideoMAE ViT with trained adapters, and the ActionFormer detector.
_base_ = ["actionformer.py"]

embed_dims = 384
depth = 12
num_heads = 6
mlp_ratio = 4
patch_size = 16
in_channels = "${embed_dims}"
num_frames = "${window_size * scale_factor}"

detector = dict(
    backbone=dict(
        type="VideoBackbone",
        backbone=dict(
            type="VisionTransformerAdapter",
            img_size=224,
            patch_size="${patch_size}",
            embed_dims="${embed_dims}",
            depth="${depth}",
            num_heads="${num_heads}",
            mlp_ratio="${mlp_ratio}",
            qkv_bias=True,
            num_frames=16,
            drop_path_rate=0.1,
            norm_cfg=dict(type="LN", eps=1e-6),
            with_cp=True,
            total_frames="${num_frames}",
            adapter_index=None,  # every block
        ),
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        clip_frames=16,
        output_length="${window_size}",
    ),
)
