"""One process or many: the same calls work in both.

torch is imported by what needs it: a process that has not imported it has no process group.
"""

import os
import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

T = TypeVar("T")


def setup_distributed(device: str | None = None) -> "torch.device":
    """Join the process group if `torchrun` started us, and return this process's device.

    NCCL carries CUDA tensors, gloo the rest. Without `torchrun` nothing is set up.

    Args:
        device: "cpu", "cuda" or None (CUDA where there is one).
    """
    import torch

    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device {kind}: no CUDA device is available here; choose cpu")
    if "LOCAL_RANK" not in os.environ:
        return torch.device(kind)
    if kind == "cuda":
        local_rank = int(os.environ["LOCAL_RANK"])
        if local_rank >= torch.cuda.device_count():
            raise ValueError(f"process {local_rank} has no GPU of its own: {torch.cuda.device_count()} found here")
        torch.cuda.set_device(local_rank)
        kind = f"cuda:{local_rank}"
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if kind != "cpu" else "gloo")
    return torch.device(kind)


def close_distributed() -> None:
    """Leave the process group, if there is one."""
    if dist := _group():
        dist.destroy_process_group()


def _group():
    """`torch.distributed` where there is a process group, else None."""
    torch = sys.modules.get("torch")
    return torch.distributed if torch is not None and torch.distributed.is_initialized() else None


def rank() -> int:
    """Number of this process, 0 without a process group."""
    dist = _group()
    return dist.get_rank() if dist else 0


def world_size() -> int:
    """Number of processes, 1 without a process group."""
    dist = _group()
    return dist.get_world_size() if dist else 1


def is_main() -> bool:
    """True in the one process that writes files and logs."""
    return rank() == 0


def barrier() -> None:
    """Wait for all processes."""
    if dist := _group():
        dist.barrier()


def mean_over_ranks(values: "Tensor") -> "Tensor":
    """Mean of a 1-d tensor over the processes (a new tensor)."""
    values = values.clone()
    if dist := _group():
        dist.all_reduce(values)
        values /= world_size()
    return values


def share_buffers(module: "nn.Module") -> None:
    """Give every process the float buffers of `module` on rank 0, such as batch-norm statistics of its own data."""
    if dist := _group():
        for buffer in module.buffers():
            if buffer.is_floating_point():
                dist.broadcast(buffer, 0)


def gather_objects(value: T) -> list[T]:
    """List of every process's `value` (any picklable object), in order of rank."""
    dist = _group()
    if not dist:
        return [value]
    gathered = [value] * world_size()  # each place is filled by its process
    dist.all_gather_object(gathered, value)
    return gathered


def gather_rows(x: "Tensor") -> "Tensor":
    """Rows of every process in order of rank, for a loss that all processes compute alike.  Returns (sum of n, ...).

    Processes may have different numbers of rows, or none. The gradient of this process's rows comes out as the mean
    over the processes needs it, which is how gradients are joined: the result is that of one process with all rows.
    No process waits for another on the way back.

    Args:
        x: (n, ...), of the same dtype and trailing shape in every process.
    """
    dist = _group()
    if not dist or world_size() == 1:
        return x
    import torch

    lengths = [torch.zeros(1, dtype=torch.int64, device=x.device) for _ in range(world_size())]
    dist.all_gather(lengths, torch.tensor([len(x)], device=x.device))
    counts = [int(length) for length in lengths]
    padded = x.new_zeros((max(counts), *x.shape[1:]))
    padded[: len(x)] = x.detach()
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    parts = [part[:count] for part, count in zip(parts, counts, strict=True)]
    own = x.view_as(x)
    if own.requires_grad:  # counts once for every process that computes the same loss
        own.register_hook(lambda gradient: gradient * len(parts))
    parts[rank()] = own
    return torch.cat(parts)
