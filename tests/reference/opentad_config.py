"""Brings configs of the existing toolbox, as the fixtures hold them, to ours.

What ours has no counterpart for is an AssertionError that names it, never a silent difference.
"""

# arguments that ours lacks, at the value at which they change nothing
NEUTRAL = {
    "VisionTransformerAdapter": {"return_feat_map": True, "tubelet_size": 2, "drop_rate": 0, "attn_drop_rate": 0},
    "FPNIdentity": {"scale_factor": 2, "start_level": 0, "end_level": -1},
}
CUT = {"type": "Rearrange", "keys": ["frames"], "ops": "b n c (t1 t) h w -> (b t1) n c t h w"}
AVERAGE = {"type": "Reduce", "keys": ["feats"], "ops": "b n c t h w -> b c t", "reduction": "mean"}
JOIN = {"type": "Rearrange", "keys": ["feats"], "ops": "(b t1) c t -> b c (t1 t)"}
STRETCH = {"type": "Interpolate", "keys": ["feats"]}


def translate_model(cfg):
    """Config dict of a reference model to ours: `backbone` is rewritten, neutral arguments are left out.

    A config without a backbone (feature-based detectors) is not changed otherwise.
    """
    ours = {key: without_neutral(part) if isinstance(part, dict) else part for key, part in cfg.items()}
    if cfg.get("backbone"):
        ours["backbone"] = translate_backbone(cfg["backbone"])
    return ours


def without_neutral(cfg):
    """`cfg` without the arguments of `NEUTRAL`; AssertionError where one has another value."""
    neutral = NEUTRAL.get(cfg.get("type"), {})
    for key in neutral.keys() & cfg.keys():
        assert cfg[key] == neutral[key], f"{cfg['type']}.{key} {cfg[key]!r}: ours has no such argument"
    return {key: value for key, value in cfg.items() if key not in neutral}


def translate_backbone(cfg):
    """Config dict of the recognizer around a ViT to that of our `VideoBackbone`.

    `norm_eval` needs no counterpart: what trains is read from the fixtures, and layer norms have no other mode.
    Recomputation of parts ("temporal checkpointing") changes no number.
    """
    custom, frames = cfg.get("custom") or {}, cfg["data_preprocessor"]
    known = {"pretrain", "pre_processing_pipeline", "post_processing_pipeline", "norm_eval", "freeze_backbone"}
    unknown = {key for key in custom if key not in known and not key.startswith("temporal_checkpointing")}
    assert cfg["type"].endswith("Recognizer3D"), f"backbone {cfg['type']!r} is not a Recognizer3D"
    assert not unknown, f"backbone.custom {sorted(unknown)}: no counterpart is known"
    assert frames.get("format_shape", "NCTHW") == "NCTHW", f"frames come as {frames['format_shape']!r}, not NCTHW"
    vit = without_neutral(cfg["backbone"])
    clips, length = clips_and_length(custom)
    return {
        "type": "VideoBackbone",
        "backbone": vit,
        "mean": frames["mean"],
        "std": frames["std"],
        "clip_frames": vit["total_frames"] // clips,
        "output_length": length,
    }


def clips_and_length(custom):
    """Clips of a window and steps of its features, from the pipelines around the network; 1 and None by default.

    Ours always cuts into clips, averages over space, joins the clips and stretches; other steps are an AssertionError.
    """
    before = custom.get("pre_processing_pipeline") or []
    after = custom.get("post_processing_pipeline") or []
    assert [rest(step, "t1") for step in before] in ([], [CUT]), f"pre_processing_pipeline {before}"
    steps = [rest(step, "t1", "size") for step in after]
    middle = [JOIN] if before else []
    assert steps in ([], [AVERAGE, *middle], [AVERAGE, *middle, STRETCH]), f"post_processing_pipeline {after}"
    counts = {step["t1"] for step in (*before, *after) if "t1" in step} or {1}
    assert len(counts) == 1, f"clips are cut and joined by different counts {sorted(counts)}"
    return counts.pop(), after[-1].get("size") if after else None


def rest(step, *keys):
    """`step` without `keys`."""
    return {key: value for key, value in step.items() if key not in keys}


def freezes_backbone(cfg):
    """Whether the backbone of a reference model runs without gradients."""
    return bool(((cfg.get("backbone") or {}).get("custom") or {}).get("freeze_backbone", False))


def translate_schedule(cfg):
    """Config dict of a schedule to ours: the reference counts the milestones of `MultiStepLR` in epochs."""
    if cfg["type"] == "MultiStepLR":
        return {**cfg, "type": "LinearWarmupMultiStepLR", "warmup_epoch": 0}
    return dict(cfg)
