"""What FG-CLIP checks once its weights are there: do texts fit, and do both towers belong together?

C colours, E width of the joint space
"""

from typing import Any

import torch
from torch.nn import functional as F

from ...contracts import CountsTruncated
from ...utils.checks import CheckResult, judge
from ..clip.towers import Tokens
from .encoders import CaptionEncoder, VideoEncoder

COLOURS = {"red": (255, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 255)}


def check_lengths(encoder: CaptionEncoder, dataset: Any) -> list[CheckResult]:
    """Are texts of the data cut off?  No result for data that cannot count that."""
    if not isinstance(dataset, CountsTruncated):
        return []
    tokens = Tokens(encoder.tokenizer)
    around = len(tokens.start) + len(tokens.end)
    cut = dataset.count_truncated(
        lambda text: around + len(tokens.encode(text)), caption_limit=encoder.long, region_limit=encoder.short
    )
    many = f"{cut['captions']} captions and {cut['regions']} of regions are cut off"
    found = (
        f"captions may have {encoder.long} tokens, those of regions {encoder.short}; the longest has {cut['longest']}"
    )
    hint = "shorter texts, or model.context_length=248 for captions of videos"
    return [judge("tokens", found, warning=many if cut["captions"] + cut["regions"] else "", hint=hint)]


@torch.no_grad()
def check_colours(vision: VideoEncoder, text: CaptionEncoder) -> CheckResult:
    """Are pictures of one colour nearest to its name?"""
    device = text.positional_embedding.device
    frames = torch.tensor(list(COLOURS.values()), dtype=torch.uint8, device=device)  # (C, 3)
    images, _ = vision.frames(frames[:, :, None, None].expand(-1, -1, *vision.prepare.size))
    texts = text.encode([f"a {name} picture" for name in COLOURS]).float()
    nearest = (F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T).argmax(1)  # (C, E) and (C, E) -> (C,)
    right = int((nearest.cpu() == torch.arange(len(COLOURS))).sum())
    wrong = "pictures and texts do not belong together" if right < len(COLOURS) else ""
    found = f"{right} of {len(COLOURS)} pictures of one colour are nearest to its name"
    hint = "expected of random weights; else the weights are not those of this model"
    return judge("colours", found, warning=wrong, hint=hint)
