"""Brings a model config of the existing toolbox, as the fixtures hold it, to ours."""


def translate_model(cfg):
    """Config dict of a reference model to ours: `backbone` is rewritten, other parts pass unchanged.

    A config without a backbone (feature-based detectors) comes back as an equal copy.
    """
    ours = dict(cfg)
    if cfg.get("backbone"):
        ours["backbone"] = translate_backbone(cfg["backbone"])
    return ours


def translate_backbone(cfg):
    """Config dict of the recognizer around a ViT to that of our `VideoBackbone`."""
    vit = {key: value for key, value in cfg["backbone"].items() if key != "return_feat_map"}
    steps = cfg["custom"]["pre_processing_pipeline"] + cfg["custom"]["post_processing_pipeline"]
    clips = next(step["t1"] for step in steps if step["type"] == "Rearrange")
    length = next((step["size"] for step in steps if step["type"] == "Interpolate"), None)
    return {
        "type": "VideoBackbone",
        "backbone": vit,
        "mean": cfg["data_preprocessor"]["mean"],
        "std": cfg["data_preprocessor"]["std"],
        "clip_frames": vit["total_frames"] // clips,
        "output_length": length,
    }
