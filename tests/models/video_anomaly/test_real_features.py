"""Real features of frames and real sentences through the pooling over time; skipped where they are not at hand.

Five videos of UCF-Crime, consecutive frames, CLIP features of length 1; sentences of the same videos, where the
annotation has them. Text features are drawn by what a sentence says, as there are no weights of a text tower.
"""

import json

import numpy as np
import pytest
import torch
from close import close
from places import SHARED
from torch.nn import functional as F

from opentad_bi.models.losses.contrast import symmetric_contrast
from opentad_bi.ops.names import caption_key, caption_number
from opentad_bi.registry import POOLINGS

FEATURES = SHARED / "data" / "features" / "ucf_crime_clip"
SENTENCES = SHARED / "data" / "annotations" / "uca"
FRAMES, PIECES, FPS = 16, 6, 30

# N segments, T frames, E width


def text_feature(text):
    """A direction (E,) that is the same for sentences that say the same."""
    generator = torch.Generator().manual_seed(caption_number(text) % 2**62)
    return F.normalize(torch.randn(512, generator=generator), dim=0)


@pytest.fixture(scope="module")
def segments():
    """Features (N, T, E), which of them are none that fill up (N, T), and N sentences."""
    if not FEATURES.is_dir() or not SENTENCES.is_dir():
        pytest.skip(f"no real features at {FEATURES}; set OPENTAD_SHARED to the folder above data/")
    told = {}
    for path in sorted(SENTENCES.glob("*.json")):
        told |= json.loads(path.read_text())
    features, valid, texts = [], [], []
    for path in sorted(FEATURES.glob("*.npy")):
        rows = torch.from_numpy(np.load(path).astype(np.float32))
        own = told[path.name.partition("__")[0]]
        for (start, end), sentence in list(zip(own["timestamps"], own["sentences"], strict=True))[:PIECES]:
            piece = rows[int(start * FPS) : int(end * FPS) + 1]
            if not len(piece):
                continue
            chosen = piece[torch.linspace(0, len(piece) - 1, min(FRAMES, len(piece))).long()]
            features.append(F.pad(chosen, (0, 0, 0, FRAMES - len(chosen))))
            valid.append(torch.arange(FRAMES) < len(chosen))
            texts.append(sentence)
    return torch.stack(features), torch.stack(valid), texts


def pooling(**more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = {"type": "TransformerPooling", "activation": "gelu", "readout": {"type": "ScoredPooling"}, **more}
        return POOLINGS.build(config, width=512, frames=FRAMES)


def test_the_pooling_starts_as_the_mean_of_real_frames(segments):
    features, valid, texts = segments
    assert len(texts) >= 10 and features.norm(dim=2)[valid].sub(1).abs().max() < 1e-2
    mean = (features * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
    close(pooling(dropout=0.1)(features, valid), mean, ulps=1024)


@pytest.mark.parametrize("duplicates", ["exclude", "soft"])
def test_segments_learn_their_sentences_and_one_said_twice_is_no_negative(segments, duplicates):
    features, valid, texts = (torch.cat([x, x[:2]]) if isinstance(x, torch.Tensor) else x + x[:2] for x in segments)
    texts = [*texts[:-2], *(f" {text.upper()}." for text in texts[-2:])]
    numbers = torch.tensor([caption_number(text) for text in texts])
    same = len(texts) - len({caption_key(text) for text in texts})
    assert same >= 2
    sentences, model, losses = torch.stack([text_feature(text) for text in texts]), pooling(), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(8):
        pooled = F.normalize(model(features, valid), dim=1)
        found = symmetric_contrast(pooled, sentences, torch.tensor(10.0), numbers, duplicates=duplicates)
        losses.append(found.loss.item())
        optimizer.zero_grad()
        found.loss.backward()
        optimizer.step()
    assert found.chance < np.log(len(texts))
    assert losses[-1] < 0.8 * losses[0] and all(map(np.isfinite, losses))
