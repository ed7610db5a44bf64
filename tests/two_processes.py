"""One of two processes that train networks of units together: ``python two_processes.py RANK FOLDER``.

By kind of gates, the first writes each parameter's gradient in a step of both, and the mean of the two gradients that
the processes' batches give by themselves.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from mgu.torch import MultiGatedUnit


def network(gates: str) -> nn.Sequential:
    torch.manual_seed(0)
    first = MultiGatedUnit(nn.Conv2d(1, 4, 3, padding=1), gates=gates)
    second = MultiGatedUnit(nn.Conv2d(4, 6, 3, stride=2), gates=gates)
    return nn.Sequential(first, second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


def batch(rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rank)
    return torch.randn(8, 1, 7, 7, generator=generator), torch.randint(0, 3, (8,), generator=generator)


def gradients(model: nn.Module, rank: int) -> list[torch.Tensor]:
    x, labels = batch(rank)
    model.zero_grad()
    F.cross_entropy(model(x), labels).backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def main(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for gates in ("channel", "replica"):
        together = gradients(DistributedDataParallel(network(gates)), rank)
        if rank == 0:
            alone = [gradients(network(gates), other) for other in (0, 1)]
            mean = [(a + b) / 2 for a, b in zip(*alone, strict=True)]
            torch.save([together, mean], folder / f"{gates}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
