"""Time of the video transformer with adapters: python -m benchmarks.vit [--model s] [--frames 64] [--device cuda]."""

import argparse
import contextlib
import statistics
import time
from unittest import mock

import torch
import torch.nn.functional as F

from opentad_bi.models.backbones import adapters
from opentad_bi.models.backbones.adapters import Adapter
from opentad_bi.models.backbones.vit_adapter import VisionTransformerAdapter

MODELS = {
    "s": {"embed_dims": 384, "depth": 12, "num_heads": 6},
    "b": {"embed_dims": 768, "depth": 12, "num_heads": 12},
    "h": {"embed_dims": 1280, "depth": 32, "num_heads": 16},
}


def seconds(step, device, repeats=4):
    """(best, median) of `repeats` calls after one to warm up: CPU seconds, or wall seconds on a GPU."""
    on_gpu = device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    taken = []
    for _ in range(repeats + 1):
        start = clock()
        step()
        if on_gpu:
            torch.cuda.synchronize()
        taken.append(clock() - start)
    return min(taken[1:]), statistics.median(taken[1:])


def autocast(device):
    """bfloat16 on a GPU, nothing on a CPU."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else contextlib.nullcontext()


def make_step(model, frames, side, device, *, train, **options):
    """A function that does one training step (adapters alone learn) or one inference."""
    vit = VisionTransformerAdapter(**MODELS[model], drop_path_rate=0.1, total_frames=frames, **options)
    vit.to(device).train(train)
    for name, parameter in vit.named_parameters():
        parameter.requires_grad_("adapter" in name)
    clips = torch.randn(frames // 16, 3, 16, side, side, device=device)

    def step():
        with autocast(device), torch.set_grad_enabled(train):
            out = vit(clips)
        if train:
            out.square().mean().backward()

    return step


def conv1d_mix(adapter, z, h, w):
    """The adapter's look along time as convolutions on (place, channel, time) copies."""
    line = z.view(-1, adapter.temporal_size, h * w, z.shape[-1]).permute(0, 2, 3, 1).flatten(0, 1)
    u = adapter.conv(F.conv1d(line, adapter.dwconv.weight, adapter.dwconv.bias, padding=1, groups=z.shape[-1]))
    return z + u.view(-1, h * w, z.shape[-1], adapter.temporal_size).permute(0, 3, 1, 2).reshape(z.shape)


def shift_mix(adapter, z, h, w):
    """The adapter's look along time as products with shifted maps."""
    image = z.view(-1, adapter.temporal_size, h * w, z.shape[-1])
    before, here, after = adapter.dwconv.weight[:, 0].unbind(1)
    padded = F.pad(image, (0, 0, 0, 0, 1, 1))
    u = padded[:, :-2] * before + image * here + padded[:, 2:] * after + adapter.dwconv.bias
    return z + F.linear(u.view(z.shape), adapter.conv.weight[..., 0], adapter.conv.bias)


def make_mix_step(mix, model, frames, side, device):
    """A function that runs `mix` forward and backward on the inner tokens of one window."""
    adapter = Adapter(MODELS[model]["embed_dims"], temporal_size=frames // 2).to(device)
    h = side // 16
    z = torch.randn(frames // 16, 8 * h * h, adapter.down_proj.out_features, device=device, requires_grad=True)

    def step():
        with autocast(device):
            out = mix(adapter, z, h, h)
        out.float().square().mean().backward()

    return step


def rows(args, device):
    """(name, step, context) of every line of the table."""
    size = (args.model, args.frames, args.side, device)
    plain = mock.patch.object(adapters, "_LIBRARY", False)
    yield "training step", make_step(*size, train=True), contextlib.nullcontext()
    yield "training step, MKL alone", make_step(*size, train=True), plain
    yield "training step, blocks recomputed", make_step(*size, train=True, with_cp=True), contextlib.nullcontext()
    yield "inference", make_step(*size, train=False), contextlib.nullcontext()
    yield "inference, MKL alone", make_step(*size, train=False), plain
    for name, mix in {"channels-last image": Adapter.mix, "conv1d": conv1d_mix, "shifts": shift_mix}.items():
        yield f"time mixing, {name}", make_mix_step(mix, *size), contextlib.nullcontext()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="s")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device(args.device)
    print(f"ViT-{args.model}, {args.frames} frames of {args.side} px, {device}")
    print(f"{'':36}{'best s':>10}{'median s':>10}")
    for name, step, context in rows(args, device):
        with context:
            best, median = seconds(step, device)
        print(f"{name:36}{best:10.4f}{median:10.4f}")


if __name__ == "__main__":
    main()
