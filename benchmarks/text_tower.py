"""Prompts of 14 classes through a text tower of ViT-B-32's size: whole, and cut behind the last end of text.

    python benchmarks/text_tower.py [--model ViT-B-32] [--repeat 5] [--batch 32]

Weights are random. Also a training step of VideoFeatureCLIP, and from it an epoch of 400,000 samples.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from opentad_bi.ops.records import UnitMeta
from opentad_bi.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = 400_000


def seconds(work, repeat):
    """Median of `repeat` runs after one to warm up."""
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[repeat // 2]


def build(name, pooling):
    """The model of the custom prompts, with random weights."""
    sentences = Config.fromfile(str(ROOT / "configs" / "_base_" / "prompts" / "ucf_crime.py")).class_prompts.to_dict()
    prompt = {"type": "PromptLearner", "ctx_mode": "class_init", "class_prompts": sentences}
    cfg = {"type": "VideoFeatureCLIP", "classes": list(sentences), "clip": {"model": name}, "prompt": prompt}
    model = MODELS.build({**cfg, "text_pooling": pooling})
    model.logit_scale.requires_grad_(False)
    return model


def text_pass(model, length, repeat):
    """Seconds of text features and their gradient, the tower seeing `length` positions; and the features."""
    learner = model.prompt_learner
    learner.length = length

    def work():
        model.text_features().square().sum().backward()

    return seconds(work, repeat), model.text_features().detach()


def main():
    """Measure and print."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--model", default="ViT-B-32")
    cli.add_argument("--repeat", type=int, default=5)
    cli.add_argument("--batch", type=int, default=32)
    args = cli.parse_args()
    print(f"{args.model}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    for pooling in ("eot", "mean"):
        model = build(args.model, pooling)
        cut, whole = model.prompt_learner.length, model.text_encoder.context_length
        long_time, long_features = text_pass(model, whole, args.repeat)
        short_time, short_features = text_pass(model, cut, args.repeat)
        far = (long_features - short_features).abs().max()
        print(
            f"{pooling:<5} forward + backward, {len(model.classes)} prompts: {whole} positions {long_time:.3f} s, "
            f"{cut} positions {short_time:.3f} s, {long_time / short_time:.2f}x; largest difference {far:.1e}"
        )
    optimizer = torch.optim.SGD(model.prompt_learner.parameters(), lr=0.002, momentum=0.9, weight_decay=5e-4)
    batch = {
        "inputs": torch.randn(args.batch, 1, model.text_encoder.embed_dim),
        "labels": torch.randint(0, len(model.classes), (args.batch,)),
        "meta": [UnitMeta("v", i, 1) for i in range(args.batch)],
    }

    def step():
        sum(model(batch).values()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    taken = seconds(step, args.repeat)
    epoch = taken * SAMPLES / args.batch
    print(
        f"training step of {args.batch} samples {taken:.3f} s; {SAMPLES} samples: {epoch / 60:.1f} min (extrapolated)"
    )


if __name__ == "__main__":
    main()
