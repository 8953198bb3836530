"""One optimizer step of every method of video prompts: time, memory, and what it trains against the arithmetic.

    python benchmarks/prompt_methods.py [--methods video_coop ...] [--views 1x1] [--batch 4] [--checkpoint]
                                        [--device cpu] [--amp bf16]

The configs of UCF101 with the shape of ViT-B/16 and random weights, real clips of UCF101 through the whole pipeline,
its 101 class names. Clips and lists are in data/videos/ucf101 and data/annotations/ucf101 of the folder OPENTAD_SHARED.
"for backward" is what the graph keeps of the step, weights left out: a method that trains nothing visual keeps nothing
of the visual tower. Every method runs in a process of its own; on a CPU "peak" is resident memory, on a GPU allocated.
"CPU s" is the time of all threads together, which other work on the machine stretches less than the clock.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.detect import in_process
from opentad_bi.config import load_config
from opentad_bi.contracts import total_loss
from opentad_bi.engine.branch import Branch, train_mode
from opentad_bi.engine.runner import precision
from opentad_bi.registry import DATASETS, MODELS

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("OPENTAD_SHARED", ROOT.parent / "shared"))
GIB = 2**30
# ViT-B/16: widths of the text tower, the visual tower and the joint space, layers, side of a patch; frames of a view
TEXT, VISUAL, JOINT, LAYERS, FRAMES = 512, 768, 512, 12, 8


def linear(inner, outer):
    """Weights of a fully connected layer with bias."""
    return inner * outer + outer


def arithmetic():
    """{method: trained parameters}, from the definitions of the methods."""
    scale, text, visual = 1, 8 * TEXT, 8 * VISUAL
    attention = JOINT + 4 * linear(JOINT, JOINT)  # query; maps to queries, keys, values and out of them
    mapped = 5 * (4 * TEXT + linear(TEXT, VISUAL)) + 5 * (4 * VISUAL + linear(VISUAL, TEXT))
    # global and local tokens, map of the class tokens, attention over frames, its norm
    layer = (8 + FRAMES) * VISUAL + linear(VISUAL, VISUAL) + 4 * linear(VISUAL, VISUAL) + 2 * VISUAL
    summary = LAYERS * layer + FRAMES * VISUAL
    return {
        "video_coop": 2 * text + attention + scale,
        "dual_coop": text + visual + attention + scale,
        "vidop": visual + attention + scale,
        "vilt": text + visual + mapped + scale,
        "vita": text + summary + scale,
        "stt": text + summary + 10 * linear(FRAMES * VISUAL, TEXT) + scale,
    }


def write_lists(folder):
    """Links to the real clips in folders of their classes, and a list of them; returns how many there are."""
    clips = sorted((SHARED / "data" / "videos" / "ucf101").glob("v_*.avi"))
    if not clips:
        sys.exit(f"benchmarks/prompt_methods.py: no clips of UCF101 below {SHARED}; set OPENTAD_SHARED")
    lines = []
    for clip in clips:
        name = clip.name.split("_")[1]
        (folder / name).mkdir(exist_ok=True)
        (folder / name / clip.name).symlink_to(clip)
        lines.append(f"{name}/{clip.name}\n")
    (folder / "list.txt").write_text("".join(lines))
    return len(clips)


def load(method, folder, options):
    """The config of a method on UCF101, with random weights and the clips in `folder`."""
    temporal, spatial = map(int, options.views.split("x"))
    classes = SHARED / "data" / "annotations" / "ucf101" / "classInd.txt"
    changes = {
        "clip_model": "ViT-B-16",
        "clip_pretrained": None,
        "video_root": str(folder),
        "train_videos.list_file": str(folder / "list.txt"),
        "train_videos.class_file": str(classes),
        "K_val": 0,
        "dataset.train.part": "all",  # of most classes there is no clip
        "temporal_views": temporal,
        "spatial_views": spatial,
        "checkpointing": options.checkpoint,
        "solver.amp": options.amp,
    }
    return load_config(ROOT / "configs" / "prompt" / "ucf101" / f"{method}.py", changes)


class Kept:
    """Counts the bytes that graphs keep for the backward pass, every storage once, without those of `module`."""

    def __init__(self, module):
        self.bytes, self.seen = 0, {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}

    def __call__(self, tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.seen:  # all are alive until the backward pass, so no address comes twice
            self.seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor


def measure(method, folder, options):
    """A row: {name: number} of one step of a method."""
    torch.manual_seed(0)
    device, cfg = torch.device(options.device), load(method, Path(folder), options)
    dataset = DATASETS.build(cfg.dataset.train)
    begun = time.perf_counter()
    batch = dataset.collate([dataset[i % len(dataset), i] for i in range(options.batch)])
    read = time.perf_counter() - begun
    model = MODELS.build({**cfg.model, "classes": dataset.classes}).to(device)
    branch = Branch("model", model, cfg.branches.model, iters_per_epoch=1)
    dtype = precision(cfg.solver.amp)
    batch = {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}
    train_mode(model)
    for _ in range(1 + (device.type == "cuda")):  # the first step on a GPU is slow
        before, kept, begun, cpu = resident(device), Kept(model), time.perf_counter(), time.process_time()
        counting = torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor)
        with counting, torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            loss = total_loss(model(batch))
        loss.backward()
        scaler = torch.amp.GradScaler(device.type, enabled=False)
        branch.clip(scaler)
        branch.step(scaler)
        value = float(loss.detach())  # waits for a GPU
        row = {"step": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
        row |= {"loss": value, "kept": kept.bytes, "before": before}
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {**row, "read": read, "trained": trained, "peak": resident(device, peak=True)}


def resident(device, peak=False):
    """Bytes of memory now, or the most there were: of the process, or on the GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()
    if peak:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main():
    """Measure and print; exit code 1 where a method trains another number of parameters than reckoned."""
    expected = arithmetic()
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--methods", nargs="+", default=list(expected), choices=list(expected))
    cli.add_argument("--views", default="1x1", help="temporal x spatial (1x1)")
    cli.add_argument("--batch", type=int, default=4)
    cli.add_argument("--checkpoint", action="store_true", help="of the towers: less memory, more time")
    cli.add_argument("--amp", choices=("bf16", "fp16"))
    cli.add_argument("--device", default="cpu")
    options = cli.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        clips = write_lists(Path(folder))
        print(
            f"{options.device}, torch {torch.__version__}, {torch.get_num_threads()} threads, {clips} clips, batch "
            f"{options.batch}, {options.views} views{', checkpointing' if options.checkpoint else ''}"
        )
        print(f"{'':<12}{'trained':>12}{'reckoned':>12}{'read s':>8}{'step s':>8}{'CPU s':>8}{'for backward GiB':>18}"
              f"{'before GiB':>12}{'peak GiB':>10}{'loss':>8}")  # fmt: skip
        for method in options.methods:
            row = in_process(measure, method, folder, options)
            wrong += [method] if row["trained"] != expected[method] else []
            print(f"{method:<12}{row['trained']:>12,}{expected[method]:>12,}{row['read']:>8.2f}{row['step']:>8.2f}"
                  f"{row['cpu']:>8.2f}{row['kept'] / GIB:>18.3f}{row['before'] / GIB:>12.2f}{row['peak'] / GIB:>10.2f}"
                  f"{row['loss']:>8.3f}", flush=True)  # fmt: skip
    if wrong:
        sys.exit(f"trained is not as reckoned: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
