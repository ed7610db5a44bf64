"""The machine's two ceilings: how fast numbers are copied, and how fast they are multiplied and added."""

import statistics
import time
from collections.abc import Callable

import torch

#: Beyond every cache but the largest servers'.
LARGE = 64 * 2**20
MATRIX = 2048


def median_s(work: Callable[[], object], device: torch.device, repeats: int = 15) -> float:
    """The median seconds of a piece of work, after warming up."""
    seconds = []
    for i in range(repeats + 3):
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if i >= 3:
            seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def copy_bandwidth(count: int, device: torch.device) -> float:
    """Bytes a second of a copy of ``count`` float32 numbers, reading and writing both counted."""
    source, target = torch.randn(count, device=device), torch.empty(count, device=device)
    return 8 * count / median_s(lambda: target.copy_(source), device)


def multiply_adds(device: torch.device) -> float:
    """Float32 multiply-adds a second of a large matrix product."""
    a = torch.randn(MATRIX, MATRIX, device=device)
    return MATRIX**3 / median_s(lambda: a @ a, device, repeats=5)
