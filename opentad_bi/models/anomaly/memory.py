"""How much memory a training step takes, from the shapes of the towers."""

# numbers kept for the gradient per token, width and layer, as autograd keeps them for open_clip's blocks: all, or with
# what lies inside a block computed again
_VISION = {"all": 16.6, "block": 1.58}
_TEXT, _HALF_TEXT = {"all": 16.1, "block": 1.09}, {"all": 18.2, "block": 2.18}  # of what has 16 bits, some keeps 32
_STATE = 16  # bytes of a parameter: itself, its gradient and two moments, in fp32
_TEXTS, _WRONG = 5, 40  # of a video at most: its caption, those of four regions; ten wrong ones for each of these


def training_bytes(model, videos, frames, half):
    """Estimate of the memory of a step of `FGCLIP`.

    Args:
        model: the `FGCLIP`.
        videos, frames: of a batch, and of each of them.
        half: is the arithmetic in 16 bits? Weights stay in 32.
    Returns:
        {"weights", "frames", "texts", "inputs"}: bytes.
    """
    vision, text = model.vision, model.text
    visual = vision.tower.encoder.visual
    item = 2 if half else 4
    tokens = 1 + vision.tower.grid[0] * vision.tower.grid[1]
    layers = len(visual.transformer.resblocks)
    frame = tokens * visual.transformer.width * layers * item
    whole, piece = videos * frames, min(frames, vision.frame_chunk or frames)
    if vision.recompute:
        kept = piece * _VISION["all"]
    elif vision.tower.checkpoint:
        kept = whole * _VISION["block"] + piece * _VISION["all"] / layers
    else:
        kept = whole * _VISION["all"]
    texts = videos * (_TEXTS + (_WRONG if model.hard_weight else 0))
    caption = text.short * text.width * len(text.transformer.resblocks) * item
    parameters = sum(p.numel() for p in model.parameters())
    return {
        "weights": parameters * (_STATE + (2 if half else 0)),
        "frames": int(frame * kept),
        "texts": int(texts * caption * (_HALF_TEXT if half else _TEXT)["block" if text.checkpoint else "all"]),
        "inputs": whole * 3 * vision.prepare.size[0] * vision.prepare.size[1],
    }
