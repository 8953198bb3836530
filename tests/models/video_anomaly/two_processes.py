"""One of two processes that train on their shares of the batches, see test_fg_clip_processes.py."""

import torch
import torch.distributed as dist
from region_batches import build, make_batch
from torch.nn.parallel import DistributedDataParallel

from opentad_bi.contracts import losses_and_logged

OPTIONS = {
    "bank": True, "queue": 3, "queue_warmup": 1, "recompute": "video", "context_length": 248, "hard_weight": 0.5
}  # fmt: skip
OWNERS = [(0, 1, 0), (0, 3), ()]  # of the batches: regions in the first half, in both, in none


def batches():
    """Three batches of four videos."""
    for seed, owners in enumerate(OWNERS):
        batch = make_batch(owners=owners, seed=seed)
        batch["captions"] = batch["captions"] if seed else ["a fire", "people walk", "A fire.", "rain"]
        yield batch


def share(batch, rank):
    """The videos of a process and their regions: the first or the last two."""
    here = batch["region_video"] // 2 == rank
    picked = {key: batch[key][2 * rank : 2 * rank + 2] for key in ("inputs", "valid", "captions", "labels")}
    picked |= {key: batch[key][here] for key in ("boxes", "box_mask")}
    picked["region_video"] = batch["region_video"][here] - 2 * rank
    for key in ("region_captions", "region_negatives"):
        picked[key] = [texts for texts, own in zip(batch[key], here.tolist(), strict=True) if own]
    return picked


def train(model, wrapped, rank=None):
    """Steps on all batches, or on the share of that process; returns the losses."""
    optimizer, seen = torch.optim.SGD(model.parameters(), lr=0.02), []
    for batch in batches():
        losses, _ = losses_and_logged(wrapped(batch if rank is None else share(batch, rank)))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        seen.append({name: loss.item() for name, loss in losses.items()})
    return seen


def train_a_share(configuration, folder):
    """Train the model of `configuration` on the share of this process and write {"losses", "state"}, RANK.pth."""
    dist.init_process_group("gloo")
    model, rank = build(configuration, **OPTIONS), dist.get_rank()
    losses = train(model, DistributedDataParallel(model), rank)
    torch.save({"losses": losses, "state": model.state_dict()}, folder / f"{rank}.pth")
    dist.destroy_process_group()
