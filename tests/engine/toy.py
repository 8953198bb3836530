"""A small family that is not a detector: it shows that the engine knows nothing of detection."""

import random

import torch
from torch import nn

from opentad_bi.registry import DATASETS, METRICS, MODELS


@DATASETS.register_module(force=True)
class ToyData:
    """Points on a noisy line; the noise of a sample is a function of its draw seed."""

    def __init__(self, length=16, nan_at=None):
        self.length, self.nan_at = length, nan_at

    def __len__(self):
        return self.length

    def __getitem__(self, key):
        index, seed = key if isinstance(key, tuple) else (key, 0)
        x = torch.tensor([index / self.length, 1.0])
        y = 3 * x[0] + random.Random(seed).gauss(0, 0.01)
        if index == self.nan_at:
            y = y * float("nan")
        return {"inputs": x, "target": y, "meta": f"sample_{index}"}

    @staticmethod
    def collate(samples):
        return {
            "inputs": torch.stack([s["inputs"] for s in samples]),
            "target": torch.stack([torch.as_tensor(s["target"]) for s in samples]),
            "meta": [s["meta"] for s in samples],
        }


@MODELS.register_module(force=True)
class ToyNet(nn.Module):
    """A tiny network with dropout, a buffer and a norm."""

    def __init__(self, width=8, dropout=0.0):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, 1))
        self.register_buffer("seen", torch.tensor(0.0))

    def forward(self, batch):
        if self.training:
            self.seen += 1
        return {"loss": (self.layers(batch["inputs"])[:, 0] - batch["target"]).square().mean()}

    @torch.no_grad()
    def predict(self, batch):
        return self.layers(batch["inputs"])[:, 0].tolist()

    def branches(self):
        return {"model": self}


@MODELS.register_module(force=True)
class ToyLogger(ToyNet):
    """A toy network that logs the mean of what it says and, where it is `odd`, a number that is none."""

    def __init__(self, width=8, odd=False):
        super().__init__(width)
        self.odd = odd

    def forward(self, batch):
        losses = super().forward(batch)
        said = self.layers(batch["inputs"])[:, 0].detach()
        logged = {"said": said.mean(), **({"none": said.sum() * float("nan")} if self.odd else {})}
        return losses | {"logged": logged}


@MODELS.register_module(force=True)
class ToyPair(nn.Module):
    """Two tiny networks on the same batch."""

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = MODELS.build(first), MODELS.build(second)

    def forward(self, batch):
        return {"first": self.first(batch)["loss"], "second": self.second(batch)["loss"]}

    def predict(self, batch):
        return self.first.predict(batch)

    def branches(self):
        return {"first": self.first, "second": self.second}


@METRICS.register_module(force=True)
class ToyMetric:
    """Mean of the predictions."""

    def __init__(self):
        self.values = []

    def update(self, results):
        self.values += results

    def compute(self):
        return {"model": {"mean": sum(self.values) / len(self.values), "count": len(self.values)}}

    def score(self, metrics):
        return metrics["model"]["mean"]

    def table(self, metrics):
        return str(metrics)

    def save(self, folder):
        (folder / "result.txt").write_text(str(self.values))
