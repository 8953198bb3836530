"""CPU seconds of one forward and backward pass of the detector behind the backbone, losses included."""

import argparse
import time

import torch

from opentad_bi.registry import MODELS

LEVELS = 6
CASES = {  # name: (channels of the features, length, attention window, input dropout)
    "end to end, 768 positions, global attention": (512, 768, -1, 0.0),
    "I3D features, 2304 positions, window 19": (2048, 2304, 19, 0.2),
}


def detector(in_channels, length, window, input_pdrop):
    """ActionFormer of the THUMOS14 configs, 512 channels wide."""
    ranges = [(0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10000)]
    projection = {
        "type": "Conv1DTransformerProj",
        "in_channels": in_channels,
        "out_channels": 512,
        "arch": (2, 2, LEVELS - 1),
        "norm_cfg": {"type": "LN"},
        "attn_cfg": {"n_head": 4, "n_mha_win_size": window},
        "path_pdrop": 0.1,
        "max_seq_len": length,
        "input_pdrop": input_pdrop,
    }
    points = {"type": "PointGenerator", "strides": [2**i for i in range(LEVELS)], "regression_range": ranges}
    loss = {"cls_loss": {"type": "FocalLoss"}, "reg_loss": {"type": "DIOULoss"}}
    head = {"type": "ActionFormerHead", "num_classes": 20, "prior_generator": points, "loss": loss}
    return MODELS.build(
        {"type": "ActionFormer", "projection": projection, "neck": {"type": "FPNIdentity"}, "rpn_head": head}
    )


def random_batch(batch, channels, length, instances=8):
    """Features with every third window a quarter padding, and random instances."""
    start = torch.rand(batch, instances, 1) * length * 0.6
    segments = torch.cat([start, start + 1 + torch.rand(batch, instances, 1) * length * 0.1], dim=2)
    valid = torch.tensor([length if i % 3 else length * 3 // 4 for i in range(batch)])
    return {
        "inputs": torch.randn(batch, channels, length),
        "masks": torch.arange(length) < valid[:, None],
        "gt_segments": list(segments),
        "gt_labels": list(torch.randint(0, 20, (batch, instances))),
    }


def seconds(step, repeats):
    """Least CPU time of `step` over `repeats` runs, after one run to warm up."""
    step()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    print(f"{'CPU seconds, batch ' + str(args.batch):<48}{'train step':>12}{'evaluation':>12}")
    for name, case in CASES.items():
        model = detector(*case)
        batch = random_batch(args.batch, *case[:2])

        def step(model=model, batch=batch):
            model.train().zero_grad()
            sum(model(batch).values()).backward()

        def evaluate(model=model, batch=batch):
            with torch.no_grad():
                model.eval().decode(model.raw(batch))

        print(f"{name:<48}{seconds(step, args.repeats):>12.3f}{seconds(evaluate, args.repeats):>12.3f}")


if __name__ == "__main__":
    main()
