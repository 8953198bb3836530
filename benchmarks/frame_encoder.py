"""Memory and time per frame of a fine-grained CLIP model of ViT-B/32's size with random weights.

    python -m benchmarks.frame_encoder [--model ViT-B-32] [--frames 8] [--repeat 3]
    python -m benchmarks.frame_encoder --device cuda --step 2 256 bf16 video     # one training step, and its peak

Kept: bytes that autograd keeps of the visual tower between forward and backward, per frame, without and with the dense
map of regions, and of the text tower per caption of 77 tokens; weights that are cast to bf16 are kept once and told
apart. Beside them stands what `models/video_anomaly/encoders.py` reckons, what is computed again included. Times are of
forward, and of forward and backward, with one region in all frames.
"""

import argparse
import time

import torch

from opentad_bi.contracts import total_loss
from opentad_bi.registry import MODELS

MIB = 2**20
CLASSES = ["Normal", "Fire"]
KINDS = [(precision, recompute) for precision in ("fp32", "bf16") for recompute in (None, "block", "video")]


def build(name, recompute, device="cpu"):
    """The model, with random weights."""
    torch.manual_seed(0)
    clip = {"model": name, "pretrained": None}
    return MODELS.build({"type": "FGCLIP", "clip": clip, "classes": CLASSES, "recompute": recompute}).to(device)


def frames_of(model, videos, count, regions=True):
    """What the visual tower takes: one region in all frames of every video, or none."""
    device, side = model.vision.logit_scale.device, model.vision.prepare.size[0]
    found = videos if regions else 0
    return (
        torch.randint(0, 256, (videos, count, 3, side, side), dtype=torch.uint8, device=device),
        torch.ones(videos, count, dtype=torch.bool, device=device),
        torch.tensor([0.2, 0.2, 0.7, 0.8], device=device).expand(found, count, 4),
        torch.ones(found, count, dtype=torch.bool, device=device),
        torch.arange(found, device=device),
    )


def kept_bytes(model, work, half):
    """Bytes that autograd keeps of `work()`, and of those the ones that are casts of weights."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    shapes = {tuple(p.shape) for p in model.parameters() if p.ndim > 1}
    shapes |= {shape[::-1] for shape in shapes}
    alive, kept, casts = [], {}, {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            cast = half and tuple(tensor.shape) in shapes and tensor.dtype == torch.bfloat16
            (casts if cast else kept)[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # so that no other tensor gets its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), cast_to(half):
        result = work()
    del result
    return sum(kept.values()), sum(casts.values())


def cast_to(half, device="cpu"):
    """bf16 arithmetic, or none."""
    return torch.autocast(device, torch.bfloat16, enabled=half)


def total(features):
    """A number that depends on all of it."""
    return sum(x.float().sum() for x in features)


def seconds(work, repeat):
    """Least of `repeat` runs after one to warm up."""
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def measure(name, count, repeat):
    """Print a row for every precision and way to spare memory."""
    print(f"{name}, {count} frames, torch {torch.__version__}, {torch.get_num_threads()} threads")
    head = (
        "arithmetic",
        "recompute",
        "MiB/frame",
        "with regions",
        "estimated",
        "casts MiB",
        "MiB/caption",
        "estimated",
        "ms/frame",
        "+ backward",
    )
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for precision, recompute in KINDS:
        half = precision == "bf16"
        model = build(name, recompute)
        batch, texts = frames_of(model, 1, count), [f"{n} {'fire ' * 100}" for n in range(8)]  # 77 tokens, all other
        kept, casts = kept_bytes(model, lambda model=model, batch=batch: model.vision(*batch), half)
        plain = frames_of(model, 1, count, regions=False)
        alone, _ = kept_bytes(model, lambda model=model, plain=plain: model.vision(*plain), half)
        said, _ = kept_bytes(model, lambda model=model, texts=texts: model.text.encode(texts), half)
        estimated = model.training_bytes(1, count, half)

        def forward(model=model, batch=batch, half=half):
            with torch.no_grad(), cast_to(half):
                model.vision(*batch)

        def both(model=model, batch=batch, half=half):
            with cast_to(half):
                found = total(model.vision(*batch))
            found.backward()

        times = [1000 * seconds(work, repeat) / count for work in (forward, both)]
        numbers = [
            alone / count,
            kept / count,
            estimated["frames"] / count,
            casts,
            said / len(texts),
            estimated["texts"] / 5,
        ]
        cells = [f"{value / MIB:.2f}" for value in numbers] + [f"{value:.0f}" for value in times]
        print(f"| {precision} | {recompute} | {' | '.join(cells)} |", flush=True)


def step(name, device, videos, count, precision, recompute):
    """Print seconds and peak memory of a whole training step."""
    model, half = build(name, recompute, device), precision == "bf16"
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    keys = ("inputs", "valid", "boxes", "box_mask", "region_video")
    batch = dict(zip(keys, frames_of(model, videos, count), strict=True))
    texts = [f"a fire burns in street {n}" for n in range(videos)]
    batch |= {
        "captions": texts,
        "region_captions": texts,
        "labels": torch.ones(videos, dtype=torch.int64, device=device),
    }

    def work():
        with cast_to(half, device):
            losses = total_loss(model(batch))
        losses.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()

    taken = seconds(work, 3)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else float("nan")
    estimated = sum(model.training_bytes(videos, count, half).values()) / 2**30
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(
        f"{name} on {where}: {videos} x {count} frames, {precision}, recompute {recompute}: {taken:.2f} s a step, "
        f"peak {peak:.2f} GiB, estimated {estimated:.2f} GiB"
    )


def main():
    """Measure and print."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--model", default="ViT-B-32")
    cli.add_argument("--frames", type=int, default=8)
    cli.add_argument("--repeat", type=int, default=3)
    cli.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    cli.add_argument("--step", nargs=4, metavar=("VIDEOS", "FRAMES", "PRECISION", "RECOMPUTE"))
    args = cli.parse_args()
    if args.step is None:
        measure(args.model, args.frames, args.repeat)
        return
    videos, count, precision, recompute = args.step
    recompute = None if recompute == "None" else recompute
    if (precision, recompute) not in KINDS:
        cli.error(f"--step {precision} {recompute}: known are {', '.join(f'{p} {r}' for p, r in KINDS)}")
    step(args.model, args.device, int(videos), int(count), precision, recompute)


if __name__ == "__main__":
    main()
